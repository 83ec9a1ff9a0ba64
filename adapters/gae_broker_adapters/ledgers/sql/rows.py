"""Rows of the tasks table: read and locked together, decided on one by one, written together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, State
from gae_broker_adapters.ledgers.sql import bulk
from gae_broker_adapters.ledgers.sql.among import among
from gae_broker_adapters.ledgers.sql.rules import Row
from gae_broker_adapters.ledgers.sql.schema import HELD, TASKS

STATES = {state.value: state for state in State}
KINDS = {kind.value: kind for kind in Kind}
MESSAGE = (TASKS.c.live_copy, TASKS.c.kind, TASKS.c.queue, TASKS.c.name, TASKS.c.due_us, TASKS.c.meta, TASKS.c.body)
"""What `message` makes a message of."""

_OWN = (
    "state",
    "live_copy",
    "eta_us",
    "leases",
    "named",
    "created_us",
    "changed_us",
    "until_us",
    "keep_us",
    "prior_keep_us",
)
_CARRIED = ("kind", "due_us", "tag", "meta", "body")

_READ = sa.select(TASKS.c.name, *(TASKS.c[name] for name in _OWN), HELD.label("held"))
_LOCK = _READ.where(TASKS.c.queue == sa.bindparam("queue"), among(TASKS.c.name, "names"))
# In one order for all, so that two batches cannot wait for each other. SQLite has one writer and no row locks.
_LOCK = _LOCK.order_by(TASKS.c.name).with_for_update()
# One statement to grant a claim on a row that was there, one for all changes after which no message is needed.
_KEY = ("queue", "name")
_INSERT = bulk.insert(TASKS, (*_OWN, *_KEY))
_INSERT_CLAIM = bulk.insert(TASKS, (*_OWN, *_CARRIED, *_KEY))
_REPLACE = bulk.update(TASKS, _KEY, (*_OWN, *_CARRIED))
_CHANGE = bulk.update(TASKS, _KEY, _OWN, nulled=_CARRIED)
_REMOVE = bulk.delete(TASKS, _KEY)


def message(copy_id: str, kind: str, queue: str, name: str, due_us: int, meta: str, body: bytes) -> Message:
    """A message from the columns `MESSAGE`."""
    return Message(copy_id, KINDS[kind], queue, name, due_us, meta, body)


def encode_tag(tag: str) -> bytes:
    """A tag as it is stored: any text at all, which a text column would not take."""
    return tag.encode(errors="surrogatepass")


def decode_tag(tag: bytes) -> str:
    """The tag again."""
    return tag.decode(errors="surrogatepass")


def remove(connection: sa.Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Delete rows by queue and name."""
    _REMOVE.run(connection, [(queue, name) for queue, name in keys])


class Batch:
    """Some rows of a queue in a transaction. What `put` says is what `get` sees next, and is written last.

    Args:
        connection: in a write transaction.
        queue: the rows' queue.
        names: which rows; they are locked where the database locks rows.
    """

    def __init__(self, connection: sa.Connection, queue: str, names: Sequence[str]) -> None:
        self._connection = connection
        self._queue = queue
        found = connection.execute(_LOCK, {"queue": queue, "names": names})
        self._before = {name: Row(STATES[state], *rest) for name, state, *rest in found}
        self._now: dict[str, Row | None] = dict(self._before)
        self._claims: dict[str, Claim] = {}

    def get(self, name: str) -> Row | None:
        """The row as it is by now."""
        return self._now.get(name)

    def put(self, name: str, row: Row | None, claim: Claim | None = None) -> None:
        """Make or change a row, or remove it; its message is that of the claim, or none."""
        self._now[name] = row
        self._claims.pop(name, None)
        if claim is not None:
            self._claims[name] = claim

    def write(self) -> None:
        """Send the changes, each kind as one statement.

        Raises:
            sqlalchemy.exc.IntegrityError: another transaction made a row meanwhile; to be done again from the start.
        """
        rows: dict[bulk.Bulk, list[tuple[object, ...]]] = {}
        # Sorted, as inserts wait for each other too: see _LOCK.
        for name in sorted(self._now):
            before, now = self._before.get(name), self._now[name]
            if before == now:
                continue
            claim = self._claims.get(name)
            values: tuple[object, ...] = ()
            if now is None:
                statement = _REMOVE
            elif claim is None:
                statement, values = (_INSERT if before is None else _CHANGE), _values(now)
            else:
                statement, values = (_INSERT_CLAIM if before is None else _REPLACE), _values(now) + _carried(claim)
            rows.setdefault(statement, []).append((*values, self._queue, name))
        for statement in (_REMOVE, _INSERT, _INSERT_CLAIM, _REPLACE, _CHANGE):
            statement.run(self._connection, rows.get(statement, ()))


def _values(row: Row) -> tuple[object, ...]:
    """As `_OWN`."""
    return (
        row.state.value,
        row.live_copy,
        row.eta_us,
        row.leases,
        row.named,
        row.created_us,
        row.changed_us,
        row.until_us,
        row.keep_us,
        row.prior_keep_us,
    )


def _carried(claim: Claim) -> tuple[object, ...]:
    """As `_CARRIED`."""
    message = claim.message
    tag = None if claim.tag is None else encode_tag(claim.tag)
    return message.kind.value, message.due_us, tag, message.meta, message.body
