"""Rows of the tasks table: read and locked together, decided on one by one, written together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, State
from gae_broker_adapters.ledgers.sql.among import among
from gae_broker_adapters.ledgers.sql.rules import Row
from gae_broker_adapters.ledgers.sql.schema import HELD, TASKS

Values = dict[str, object]

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
_NOTHING: Values = dict.fromkeys(_CARRIED)
_THIS = (TASKS.c.queue == sa.bindparam("of_queue"), TASKS.c.name == sa.bindparam("of_name"))

_READ = sa.select(TASKS.c.name, *(TASKS.c[name] for name in _OWN), HELD.label("held"))
_LOCK = _READ.where(TASKS.c.queue == sa.bindparam("queue"), among(TASKS.c.name, "names"))
# In one order for all, so that two batches cannot wait for each other. SQLite has one writer and no row locks.
_LOCK = _LOCK.order_by(TASKS.c.name).with_for_update()
_INSERT = TASKS.insert()
# One statement to grant a claim on a row that was there, one for all changes after which no message is needed.
_REPLACE = TASKS.update().where(*_THIS).values({name: sa.bindparam(name) for name in (*_OWN, *_CARRIED)})
_CHANGE = TASKS.update().where(*_THIS).values({name: sa.bindparam(name) for name in _OWN} | _NOTHING)
_REMOVE = TASKS.delete().where(*_THIS)


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
    values = [{"of_queue": queue, "of_name": name} for queue, name in keys]
    if values:
        connection.execute(_REMOVE, values)


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
        inserts: list[Values] = []
        replaces: list[Values] = []
        changes: list[Values] = []
        removes: list[Values] = []
        # Sorted, as inserts wait for each other too: see _LOCK.
        for name in sorted(self._now):
            before, now = self._before.get(name), self._now[name]
            if before == now:
                continue
            key: Values = {"of_queue": self._queue, "of_name": name}
            if now is None:
                removes.append(key)
            elif before is None:
                inserts.append({"queue": self._queue, "name": name} | _values(now) | self._carried(name))
            elif name in self._claims:
                replaces.append(key | _values(now) | self._carried(name))
            else:
                changes.append(key | _values(now))
        for statement, values in ((_REMOVE, removes), (_INSERT, inserts), (_REPLACE, replaces), (_CHANGE, changes)):
            if values:
                self._connection.execute(statement, values)

    def _carried(self, name: str) -> Values:
        claim = self._claims.get(name)
        if claim is None:
            return _NOTHING
        return {
            "kind": claim.message.kind.value,
            "due_us": claim.message.due_us,
            "tag": None if claim.tag is None else encode_tag(claim.tag),
            "meta": claim.message.meta,
            "body": claim.message.body,
        }


def _values(row: Row) -> Values:
    return {
        "state": row.state.value,
        "live_copy": row.live_copy,
        "eta_us": row.eta_us,
        "leases": row.leases,
        "named": row.named,
        "created_us": row.created_us,
        "changed_us": row.changed_us,
        "until_us": row.until_us,
        "keep_us": row.keep_us,
        "prior_keep_us": row.prior_keep_us,
    }
