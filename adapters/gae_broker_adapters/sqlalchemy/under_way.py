"""Which of SQLAlchemy's transactions the caller is in.

SQLAlchemy itself has no current transaction, so its events tell of each that begins, in the context (thread, or
coroutine) where it does. None needs to tell of its end: sessions and connections are asked whether they are in one.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextvars import ContextVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, SessionTransaction

Holder = Session | sa.Connection
"""What may be in a transaction."""

_begun: ContextVar[tuple[weakref.ref[Holder], ...]] = ContextVar("gae_broker_sqlalchemy_begun", default=())
_owners: weakref.WeakKeyDictionary[sa.Connection, weakref.ref[Session]] = weakref.WeakKeyDictionary()
"""Connections that a session began on: its transaction is theirs."""


def watch_sessions() -> None:
    """Notice the transactions of every ORM session from now on. Idempotent."""
    if not event.contains(Session, "after_transaction_create", _session_began):
        event.listen(Session, "after_transaction_create", _session_began)
        event.listen(Session, "after_begin", _session_connected)


def watch_connections(engine: sa.Engine) -> None:
    """Notice the transactions of an engine's connections from now on. Idempotent."""
    if not event.contains(engine, "begin", _note):
        event.listen(engine, "begin", _note)


def holders() -> Iterator[Holder]:
    """Whatever is in a transaction here, a session in place of the connections that are its own."""
    found = [holder for holder in _alive(_begun.get()) if _is_in_transaction(holder)]
    bound = [bind for holder in found if isinstance(holder, Session) and (bind := bind_of(holder)) is not None]
    for holder in found:
        if isinstance(holder, Session) or not (_has_owner(holder) or any(holder is bind for bind in bound)):
            yield holder


def bind_of(session: Session) -> sa.Engine | sa.Connection | None:
    """What a session talks to where nothing tells it otherwise."""
    try:
        return session.get_bind()
    except InvalidRequestError:  # its mappers have binds of their own
        return None


def connections_of(session: Session) -> list[sa.Connection]:
    """What a session has begun on."""
    return [connection for connection, owner in list(_owners.items()) if owner() is session and not connection.closed]


def _session_began(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        _note(session)


def _session_connected(session: Session, _: SessionTransaction, connection: sa.Connection) -> None:
    _owners[connection] = weakref.ref(session)


def _note(holder: Holder) -> None:
    alive = [known for known in _alive(_begun.get()) if known is not holder and _is_in_transaction(known)]
    _begun.set((*map(weakref.ref, alive), weakref.ref(holder)))


def _alive(references: tuple[weakref.ref[Holder], ...]) -> list[Holder]:
    return [holder for reference in references if (holder := reference()) is not None]


def _is_in_transaction(holder: Holder) -> bool:
    if isinstance(holder, Session):
        return holder.in_transaction()
    return not holder.closed and holder.in_transaction()


def _has_owner(connection: sa.Connection) -> bool:
    owner = _owners.get(connection)
    session = None if owner is None else owner()
    return session is not None and session.in_transaction()
