"""SQLite's errors as this package's own; the text says which file, and what to do."""

from __future__ import annotations

import sqlite3

from gae_broker.errors import BrokerUnavailableError, Error, PublishRejectedError, StorageError

_PRIMARY = 0xFF  # extended result codes carry the primary one in their low byte
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
BREAKING = _DAMAGED | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
"""Codes after which a connection is not to be trusted any more."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_REFUSED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_TOOBIG}


def code(exc: sqlite3.Error) -> int:
    """The primary result code, 0 where the ``sqlite3`` module raised by itself."""
    return getattr(exc, "sqlite_errorcode", 0) & _PRIMARY


def is_busy(exc: sqlite3.Error) -> bool:
    """Whether another connection's lock stood in the way, so that trying again helps."""
    return code(exc) in _BUSY


def locked(where: str, waited_s: float) -> BrokerUnavailableError:
    """The error for a lock that was not to be had in time."""
    return BrokerUnavailableError(
        f"{where} stayed locked by another process for {waited_s:.3g} s; try again, and look for a process"
        " that keeps a transaction open on it",
    )


def translate(exc: sqlite3.Error, where: str, *, publishing: bool) -> Error:
    """The error to raise in place of SQLite's.

    Args:
        exc: what ``sqlite3`` raised.
        where: the file, as messages name it.
        publishing: whether messages were being stored, so that a refusal is `PublishRejectedError`.
    """
    primary = code(exc)
    if primary in _DAMAGED or "Could not decode" in str(exc):
        return StorageError(
            f"{where} is damaged ({exc}); stop every process that uses it, then restore it from a backup,"
            " or recover it with `sqlite3 FILE .recover`",
        )
    if primary in _BUSY:
        return BrokerUnavailableError(f"{where} is locked by another process ({exc}); try again")
    if primary in _REFUSED:
        refused = PublishRejectedError if publishing else BrokerUnavailableError
        return refused(f"{where} takes no more data ({exc}); {_remedy(primary)}, then try again")
    return BrokerUnavailableError(f"{where} cannot be used now ({exc}); see that the file is there and its disk works")


def _remedy(primary: int) -> str:
    if primary == sqlite3.SQLITE_FULL:
        return "free space on its disk"
    if primary == sqlite3.SQLITE_READONLY:
        return "make the file and its directory writable"
    return "make the task smaller"
