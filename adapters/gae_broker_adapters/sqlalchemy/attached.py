"""One engine's outbox, and its engine's transactions as those of the task queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from gae_broker.engine import runtime
from gae_broker.engine.outbox import Relay, Relayed
from gae_broker.engine.relaying import Relayer
from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import BadTransactionStateError, DatastoreError
from gae_broker_adapters.sqlalchemy.rows import Rows, reason

_EVERY_S = 10.0
_KEY = "gae_broker_outbox"


@dataclass(slots=True)
class Unit:
    """What one transaction of a connection has taken along.

    Attributes:
        root: the transaction.
        name: its rows bear it.
        queues: which queues its tasks are for.
        by_session: whether a session, which began it, tells of its end.
        committing: whether a commit was tried.
    """

    root: object
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    queues: set[str] = field(default_factory=set)
    by_session: bool = False
    committing: bool = False


class Attached:
    """An engine with an outbox; `gae_broker_adapters.sqlalchemy.outbox.attach` makes it.

    Args:
        engine, table: see below.
        relays: whether commits are followed by relaying.

    Attributes:
        engine: the engine.
        table: the outbox's table, for ``create_all`` and for migrations.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table, *, relays: bool) -> None:
        self.engine = engine
        self.table = table
        self.rows = Rows(engine, table)
        self._relay = Relay(self.rows)
        self._relayer = Relayer(self._relay, self.rows.where, every_s=_EVERY_S, threaded=not in_memory(engine))
        self._relays = relays

    def relay(self) -> Relayed:
        """Enqueue everything that is committed now, in this thread.

        Raises:
            Error: as `gae_broker.engine.outbox.Relay.run`.
        """
        return self._relay.run()

    def session_committed(self, queues: set[str]) -> None:
        """A session has committed tasks of these queues, and given its connection back."""
        if self._relays:
            self._relayer.after_commit(queues)

    def watch(self) -> None:
        """Notice commits on plain connections."""
        event.listen(self.engine, "commit", _committing)
        event.listen(self.engine, "begin", self._begun)
        event.listen(self.engine, "checkin", self._checked_in)

    def close(self) -> None:
        """Notice no more, and end the relay's thread."""
        event.remove(self.engine, "commit", _committing)
        event.remove(self.engine, "begin", self._begun)
        event.remove(self.engine, "checkin", self._checked_in)
        self._relayer.close()

    def _begun(self, connection: sa.Connection) -> None:
        """The next transaction begins on a connection, so the one before has ended."""
        self._ended(connection.info.pop(_KEY, None))

    def _checked_in(self, _: object, record: Any) -> None:  # noqa: ANN401  (the pool's own)
        """A connection goes back to its pool, which has rolled back what was not committed."""
        self._ended(record.info.pop(_KEY, None))

    def _ended(self, unit: Unit | None) -> None:
        # Not in this thread: the pool may have no connection for us before it has got this one.
        if self._relays and unit is not None and unit.committing and not unit.by_session:
            self._relayer.wake()


def in_memory(engine: sa.Engine) -> bool:
    """Whether its pool has one connection for all, or for each thread a database of its own."""
    return isinstance(engine.pool, StaticPool | SingletonThreadPool)


def _committing(connection: sa.Connection) -> None:
    unit = connection.info.get(_KEY)
    if unit is not None:
        unit.committing = True


class SqlTransaction:
    """See `gae_broker.engine.transactions.Transaction`.

    Args:
        attached: where its tasks go.
        connect: answers with the connection that it is on, and begins on it where nothing did yet.
        session: whose it is, ``None`` where it is a plain connection's.
    """

    def __init__(self, attached: Attached, connect: Callable[[], sa.Connection], session: Session | None) -> None:
        self._attached = attached
        self._connect = connect
        self._session = session

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken; those of savepoints that were rolled back do not count."""
        connection = self._connected()
        unit = connection.info.get(_KEY)
        if unit is None or unit.root is not connection.get_transaction():
            return 0
        try:
            return self._attached.rows.count(connection, unit.name)
        except SQLAlchemyError as exc:
            raise self._refused(exc) from exc

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:  # noqa: ARG002  (the relay does)
        """Write the tasks into the outbox.

        Raises:
            BadTransactionStateError: it cannot go on; roll it back.
            DatastoreError: the database did not take them.
        """
        connection = self._connected()
        unit = connection.info.get(_KEY)
        if unit is None or unit.root is not connection.get_transaction():
            unit = connection.info[_KEY] = Unit(connection.get_transaction())
        unit.queues.update(task.copy.queue for task in tasks)
        try:
            self._attached.rows.insert(connection, unit.name, tasks, runtime.now_us())
        except SQLAlchemyError as exc:
            raise self._refused(exc) from exc
        if self._session is not None:
            unit.by_session = True
            taken(self._session).append((self._attached, connection, unit))

    def _connected(self) -> sa.Connection:
        try:
            connection = self._connect()
        except InvalidRequestError as exc:
            raise BadTransactionStateError(f"the transaction takes no tasks: {exc}") from exc
        except SQLAlchemyError as exc:
            raise self._refused(exc) from exc
        if connection.get_transaction() is None:
            raise BadTransactionStateError("the transaction is over; add the task within one")
        return connection

    def _refused(self, exc: SQLAlchemyError) -> DatastoreError:
        return DatastoreError(
            f"{self._attached.rows.where} did not take the task: {reason(exc)}; if there is no such table, make it: "
            "see `outbox.attach`"
        )


Taken = list[tuple[Attached, sa.Connection, Unit]]


def taken(session: Session) -> Taken:
    """What a session's transaction has taken along, to be changed by whoever asks."""
    found: Taken = session.info.setdefault(_KEY, [])
    return found


def session_ended(session: Session, *, committed: bool) -> None:
    """Relay what a session has committed; where its transaction was part of a connection's, leave it to that."""
    units: Taken = session.info.pop(_KEY, [])
    done: dict[Attached, set[str]] = {}
    for attached, connection, unit in units:
        if not connection.closed and connection.in_transaction():
            unit.by_session = False
        elif committed:
            done.setdefault(attached, set()).update(unit.queues)
    for attached, queues in done.items():
        attached.session_committed(queues)
