"""Tasks that the ledger holds itself: rows with a tag and a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from gae_broker.ports import Held
from gae_broker_adapters.ledgers.sql.among import among
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.rows import MESSAGE, decode_tag, encode_tag, message
from gae_broker_adapters.ledgers.sql.schema import HELD, TASKS

_HELD = (HELD, TASKS.c.queue == sa.bindparam("of_queue"))
_ORDER = (TASKS.c.eta_us, TASKS.c.name)
_AT_MOST: sa.BindParameter[int] = sa.bindparam("at_most")
_READY = TASKS.c.eta_us < sa.bindparam("before_us")
_COLUMNS = (TASKS.c.tag, TASKS.c.eta_us, TASKS.c.leases, TASKS.c.created_us, TASKS.c.named, *MESSAGE)

_READY_KEYS = (
    sa.select(TASKS.c.eta_us, TASKS.c.name, TASKS.c.tag).where(*_HELD, _READY).order_by(*_ORDER).limit(_AT_MOST)
)
_TAKE = sa.select(*_COLUMNS).where(*_HELD, _READY).order_by(*_ORDER).limit(_AT_MOST).with_for_update(skip_locked=True)
_TAKE_TAG = _TAKE.where(TASKS.c.tag == sa.bindparam("of_tag"))
_LIST = sa.select(*_COLUMNS).where(*_HELD).order_by(*_ORDER).limit(_AT_MOST)
_LIST_AFTER = _LIST.where(sa.tuple_(*_ORDER) > sa.tuple_(sa.bindparam("after_eta_us"), sa.bindparam("after_name")))
_DEPTH = sa.select(sa.func.count(), sa.func.min(TASKS.c.eta_us)).where(*_HELD)
_BYTES = sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(TASKS.c.body)), 0)).where(HELD)

# By the primary key alone: with `_HELD`, SQLite would go through all that is held.
_LEASE = (
    TASKS.update()
    .where(TASKS.c.queue == sa.bindparam("of_queue"), among(TASKS.c.name, "names"))
    .values(eta_us=sa.bindparam("new_eta_us"), leases=TASKS.c.leases + 1, changed_us=sa.bindparam("at_us"))
)
_MOVE = (
    TASKS.update()
    .where(*_HELD, TASKS.c.name == sa.bindparam("of_name"), TASKS.c.eta_us == sa.bindparam("expected_us"))
    .values(eta_us=sa.bindparam("new_eta_us"), changed_us=sa.bindparam("at_us"))
)


class SqlHeldTasks:
    """See `gae_broker.ports.HeldTasks` for what each method promises."""

    _connections: Connections

    def held_ready(self, queue: str, limit: int, now_us: int) -> list[tuple[int, str, str]]:
        """(eta_us, name, tag) of the first tasks that are ready."""
        values = {"of_queue": queue, "before_us": now_us, "at_most": limit}

        def work(connection: sa.Connection) -> list[tuple[int, str, str]]:
            return [(eta_us, name, decode_tag(tag)) for eta_us, name, tag in connection.execute(_READY_KEYS, values)]

        return self._connections.read(work)

    def lease_held(self, queue: str, tag: str | None, limit: int, now_us: int, eta_us: int) -> list[Held]:
        """Lease the first tasks that are ready; those that another transaction is leasing now are passed over."""
        values: dict[str, object] = {"of_queue": queue, "before_us": now_us, "at_most": limit}
        statement = _TAKE
        if tag is not None:
            values["of_tag"] = encode_tag(tag)
            statement = _TAKE_TAG

        def work(connection: sa.Connection) -> list[Held]:
            taken = connection.execute(statement, values).all()
            if not taken:
                return []
            names = [row.name for row in taken]
            lease = {"of_queue": queue, "names": names, "new_eta_us": eta_us, "at_us": now_us}
            connection.execute(_LEASE, lease)
            return [replace(held, eta_us=eta_us, leases=held.leases + 1) for held in map(_held, taken)]

        return self._connections.write(work)

    def move_held(self, queue: str, name: str, expected_eta_us: int, eta_us: int, now_us: int) -> bool:
        """Set a held task's eta."""
        values = {
            "of_queue": queue,
            "of_name": name,
            "expected_us": expected_eta_us,
            "new_eta_us": eta_us,
            "at_us": now_us,
        }
        return self._connections.write(lambda connection: connection.execute(_MOVE, values).rowcount == 1)

    def held(self, queue: str, limit: int, after: tuple[int, str] | None) -> list[Held]:
        """Held tasks in order."""
        values: dict[str, object] = {"of_queue": queue, "at_most": limit}
        statement = _LIST
        if after is not None:
            values |= {"after_eta_us": after[0], "after_name": after[1]}
            statement = _LIST_AFTER
        return self._connections.read(lambda c: [_held(row) for row in c.execute(statement, values)])

    def held_depth(self, queue: str) -> tuple[int, int | None]:
        """How many, and the smallest eta; counts index entries, so it takes longer the more there are."""

        def work(connection: sa.Connection) -> tuple[int, int | None]:
            count, eta_us = connection.execute(_DEPTH, {"of_queue": queue}).one()
            return count, eta_us

        return self._connections.read(work)

    def stored_bytes(self) -> int:
        """Bytes of the held tasks' payloads, over all queues."""
        return int(self._connections.read(lambda connection: connection.execute(_BYTES).scalar_one()))


def _held(row: Sequence[Any]) -> Held:
    tag, eta_us, leases, created_us, named, *columns = row
    return Held(message(*columns), decode_tag(tag), eta_us, leases, created_us, named)
