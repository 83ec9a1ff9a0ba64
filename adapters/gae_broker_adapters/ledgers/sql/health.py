"""What ``gae-broker check`` says of a ledger."""

from __future__ import annotations

import sqlalchemy as sa

from gae_broker.ports import Check, CheckStatus, Clock
from gae_broker_adapters.ledgers.sql import schema
from gae_broker_adapters.ledgers.sql.connections import Connections

_US = 1_000_000
_OLD_CLAIM_US = 300 * _US
_CLOSE_US = 2 * _US
_ENOUGH = 1000


def check(connections: Connections, clock: Clock) -> list[Check]:
    """Look at the version, write, and look for claims that nobody takes care of.

    Raises:
        Error: the ledger cannot be used.
    """
    database = connections.database
    if not database.is_there():
        text = f"{database.where} is not there yet; `gae-broker deploy`, or the next process that starts, makes it"
        return [Check("ledger", CheckStatus.WARNING, text)]
    found = connections.read(schema.version)
    schema.require_readable(found, database.where)
    if not schema.is_current(found):
        # Not a fault: before a first start there are no tables, after an upgrade there are old ones.
        text = (
            f"{database.where} {f'has version {found}' if found else 'has no tables yet'}; `gae-broker deploy`, or the"
            f" next process that starts and may make tables, brings it to version {schema.VERSION}"
        )
        return [Check("ledger", CheckStatus.WARNING, text)]
    connections.write(_write)
    checks = [Check("ledger", CheckStatus.OK, f"{database.where} can be read and written, version {found}")]
    checks += connections.read(database.health)
    checks += _clock(connections, clock)
    return [*checks, _claims(connections, clock.now_us() - _OLD_CLAIM_US)]


def _clock(connections: Connections, clock: Clock) -> list[Check]:
    """How far the server's clock is from ours: etas, leases and purges are compared over several hosts."""
    before_us = clock.now_us()
    server_us = connections.read(connections.database.now_us)
    after_us = clock.now_us()
    if server_us is None:
        return []
    apart_us = max(before_us - server_us, server_us - after_us, 0)
    text = f"its clock and ours are {apart_us / _US:.1f} s apart"
    if apart_us <= _CLOSE_US:
        return [Check("ledger clock", CheckStatus.OK, text)]
    return [Check("ledger clock", CheckStatus.WARNING, f"{text}: tasks come early or late; synchronise both by NTP")]


def failed(exc: Exception) -> Check:
    """The check of a ledger that cannot be used."""
    return Check("ledger", CheckStatus.FAILED, str(exc))


def _write(connection: sa.Connection) -> None:
    """A write that changes nothing."""
    connection.execute(schema.QUEUES.update().where(schema.QUEUES.c.queue == "").values(paused=False))


def _claims(connections: Connections, before_us: int) -> Check:
    old = sa.select(schema.TASKS.c.name).where(schema.CLAIMED, schema.TASKS.c.changed_us < before_us).limit(_ENOUGH)
    count = connections.read(lambda connection: len(connection.execute(old).all()))
    if not count:
        return Check("ledger claims", CheckStatus.OK, "no add was left half done")
    number = f"{count} or more" if count == _ENOUGH else str(count)
    text = (
        f"{number} adds were left half done over 5 minutes ago; `gae-broker dispatch` completes them, is one running?"
    )
    return Check("ledger claims", CheckStatus.WARNING, text)
