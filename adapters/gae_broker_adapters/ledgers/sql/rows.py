"""Rows of the tasks table: read and locked together, decided on one by one, written together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import State
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
# One statement to give a message to a row that was there, one for all changes after which none is needed, and one for
# those after which it is needed still.
_KEY = ("queue", "name")
_INSERT = bulk.insert(TASKS, (*_OWN, *_KEY))
_INSERT_ALL = bulk.insert(TASKS, (*_OWN, *_CARRIED, *_KEY))
_REPLACE = bulk.update(TASKS, _KEY, (*_OWN, *_CARRIED))
_CHANGE = bulk.update(TASKS, _KEY, _OWN, nulled=_CARRIED)
_KEEP = bulk.update(TASKS, _KEY, _OWN)
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
        self._messages: dict[str, tuple[Message, str | None]] = {}
        self._kept: set[str] = set()

    def get(self, name: str) -> Row | None:
        """The row as it is by now."""
        return self._now.get(name)

    def put(self, name: str, row: Row | None, carried: Message | None = None, tag: str | None = None) -> None:
        """Make or change a row, or remove it; its message and tag are these, or none."""
        self._now[name] = row
        self._kept.discard(name)
        self._messages.pop(name, None)
        if carried is not None:
            self._messages[name] = carried, tag

    def keep(self, name: str, row: Row) -> None:
        """Change a row; its message stays."""
        self._now[name] = row
        self._kept.add(name)

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
            carried = self._messages.get(name)
            values: tuple[object, ...] = ()
            if now is None:
                statement = _REMOVE
            elif carried is not None:
                statement, values = (_INSERT_ALL if before is None else _REPLACE), _values(now) + _carried(*carried)
            elif name in self._kept:
                statement, values = _KEEP, _values(now)
            else:
                statement, values = (_INSERT if before is None else _CHANGE), _values(now)
            rows.setdefault(statement, []).append((*values, self._queue, name))
        for statement in (_REMOVE, _INSERT, _INSERT_ALL, _REPLACE, _CHANGE, _KEEP):
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


def _carried(carried: Message, tag: str | None) -> tuple[object, ...]:
    """As `_CARRIED`."""
    tag_bytes = None if tag is None else encode_tag(tag)
    return carried.kind.value, carried.due_us, tag_bytes, carried.meta, carried.body
