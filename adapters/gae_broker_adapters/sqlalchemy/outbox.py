"""Tasks that are enqueued when, and only if, a SQLAlchemy transaction commits.

One line sets it up; what it is given may be an engine, or a sessionmaker or scoped session that is bound to one::

    from gae_broker_adapters.sqlalchemy import outbox

    outbox.attach(engine)

From then on ``taskqueue.add(..., transactional=True)`` and ``deferred.defer(..., _transactional=True)`` find the
transaction that the caller is in, an ORM session's or a plain connection's, and write their tasks into a table of
the same database, within it. After the commit they are enqueued and the rows removed; see `attach` by whom.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction, scoped_session, sessionmaker

from gae_broker.engine import transactions
from gae_broker.errors import BadTransactionStateError, SettingsError
from gae_broker_adapters.sqlalchemy import table as tables
from gae_broker_adapters.sqlalchemy import under_way
from gae_broker_adapters.sqlalchemy.attached import Attached, SqlTransaction, in_memory, session_ended
from gae_broker_adapters.sqlalchemy.rows import unavailable
from gae_broker_adapters.sqlalchemy.under_way import Holder

__all__ = ["Attached", "attach", "detach", "relay", "within"]

Target = sa.Engine | sessionmaker[Session] | scoped_session[Session]
_COMMITTED = "gae_broker_committed"

_lock = threading.Lock()
_attached: dict[sa.Dialect, Attached] = {}
"""By what an engine shares with its variants of other execution options, and keeps when it is disposed of."""
_chosen: ContextVar[Holder | None] = ContextVar("gae_broker_sqlalchemy_chosen", default=None)


def attach(
    target: Target, *, metadata: sa.MetaData | None = None, create: bool = True, relays: bool = True
) -> Attached:
    """Let the transactions of this engine take tasks along. A second time, nothing happens.

    The tasks are rows of the table ``gae_broker_outbox``. After a session's commit its thread enqueues them before
    ``commit()`` returns; after a plain connection's, and wherever that fails, a thread of this process does, which
    also looks every ten seconds for what crashed processes left behind (with a SQLite database in memory, which other
    threads cannot share, none does: call `relay`). Any other process may, at any time: ``gae-broker relay``, and
    ``gae-broker dispatch`` with ``GAE_BROKER_OUTBOX``.

    Args:
        target: the engine, or a sessionmaker or scoped session bound to it.
        metadata: where to add the table, so that ``create_all`` and Alembic know it; by default, nowhere.
        create: make the table now, where it is missing.
        relays: whether this process enqueues what it commits; else it only writes rows, and needs a relay elsewhere.

    Raises:
        SettingsError: there is no engine in ``target``.
        OutboxUnavailableError: the table could not be made.
    """
    engine = _engine_of(target)
    with _lock:
        known = _attached.get(engine.dialect)
        if known is not None:
            return known
        attached = Attached(engine, tables.define(sa.MetaData() if metadata is None else metadata), relays=relays)
        if create:
            _create(attached)
        under_way.watch_sessions()
        under_way.watch_connections(engine)
        if not event.contains(Session, "after_commit", _session_committed):
            event.listen(Session, "after_commit", _session_committed)
            event.listen(Session, "after_transaction_end", _session_ended)
        attached.watch()
        _attached[engine.dialect] = attached
        transactions.register(_current)
        return attached


def detach(target: Target) -> None:
    """Undo `attach`, for tests and for engines that are disposed of; the table and what is in it stay."""
    with _lock:
        attached = _attached.pop(_engine_of(target).dialect, None)
        if not _attached:
            transactions.unregister(_current)
    if attached is not None:
        attached.close()


def relay() -> int:
    """Enqueue what is committed in the outboxes of all attached engines now; how many tasks that were.

    Raises:
        OutboxUnavailableError: a database did not answer.
        TransientError, ConfigurationError, StorageError: the task queue cannot be used, or refused a task; it stays.
    """
    tasks = 0
    for attached in list(_attached.values()):
        relayed = attached.relay()
        tasks += relayed.tasks
        if relayed.error is not None:
            raise relayed.error
    return tasks


@contextmanager
def within(holder: Holder) -> Iterator[None]:
    """In this block, transactional adds go with this session's or connection's transaction.

    For callers that are in several transactions at once, or whose transaction was begun in another thread.
    """
    token = _chosen.set(holder)
    try:
        yield
    finally:
        _chosen.reset(token)


def _current() -> SqlTransaction | None:
    chosen = _chosen.get()
    if chosen is not None:
        transaction = _transaction_of(chosen) if chosen.in_transaction() else None
        if transaction is None:
            raise BadTransactionStateError("what `outbox.within` was given is in no transaction of an attached engine")
        return transaction
    found = [transaction for holder in under_way.holders() if (transaction := _transaction_of(holder)) is not None]
    if len(found) > 1:
        raise BadTransactionStateError(
            f"{len(found)} transactions are under way here; say which one the task goes with: "
            "`with outbox.within(session):`"
        )
    return found[0] if found else None


def _transaction_of(holder: Holder) -> SqlTransaction | None:
    if not isinstance(holder, Session):
        attached = _attached.get(holder.dialect)
        return None if attached is None else SqlTransaction(attached, lambda: holder, None)
    bind = under_way.bind_of(holder)
    attached = None if bind is None else _attached.get(bind.dialect)
    if attached is not None:
        return SqlTransaction(attached, lambda: holder.connection(bind_arguments={"bind": bind}), holder)
    begun = [connection for connection in under_way.connections_of(holder) if connection.dialect in _attached]
    return SqlTransaction(_attached[begun[0].dialect], lambda: begun[0], holder) if begun else None


def _session_committed(session: Session) -> None:
    if not session.in_nested_transaction():  # else it is a savepoint's end
        session.info[_COMMITTED] = True


def _session_ended(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session_ended(session, committed=session.info.pop(_COMMITTED, False))


def _engine_of(target: Target) -> sa.Engine:
    found: object = target
    if isinstance(found, scoped_session):
        found = found.session_factory
    if isinstance(found, sessionmaker):
        found = found.kw.get("bind")
    if not isinstance(found, sa.Engine):
        raise SettingsError(
            "outbox: expected an Engine, or a sessionmaker or scoped_session that is bound to one; "
            f"found {type(found).__name__}"
        )
    return found


def _create(attached: Attached) -> None:
    """Make the table, on a connection that no forked child finds in the pool."""
    engine, table = attached.engine, attached.table
    try:
        with engine.connect() as connection:
            if not in_memory(engine):
                connection.detach()
            try:
                table.create(connection, checkfirst=True)
                connection.commit()
            except SQLAlchemyError:
                connection.rollback()
                if not sa.inspect(connection).has_table(table.name, table.schema):  # else another process was first
                    raise
    except SQLAlchemyError as exc:
        raise unavailable(attached.rows.where, exc) from exc
