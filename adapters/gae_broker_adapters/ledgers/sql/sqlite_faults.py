"""SQLite's errors as this package's own; the text says which file, and what to do."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gae_broker.errors import Error, LedgerUnavailableError, PublishRejectedError, StorageError

_PRIMARY = 0xFF  # extended result codes carry the primary one in their low byte
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OTHER = "cannot be used now ({}); see that the file is there and its disk works, then try again"
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "stayed locked by another process ({}); try again, and look for a process that keeps a"
    " transaction open on it",
    sqlite3.SQLITE_LOCKED: "stayed locked ({}); try again",
    sqlite3.SQLITE_FULL: "cannot grow ({}); free space on its disk, then try again",
    sqlite3.SQLITE_READONLY: "cannot be written ({}); make the file and its directory writable, then try again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened ({}); see that it is there and may be read and written",
    sqlite3.SQLITE_PERM: "may not be used ({}); correct its permissions",
}


def code(exc: BaseException) -> int:
    """The primary result code, 0 where something else raised."""
    return int(getattr(exc, "sqlite_errorcode", 0)) & _PRIMARY


def is_busy(exc: BaseException) -> bool:
    """Whether another connection's lock stood in the way, so that trying again helps."""
    return code(exc) in _BUSY


def cause(exc: SQLAlchemyError) -> BaseException:
    """What the driver raised, where it was the driver."""
    return exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc


def translate(exc: BaseException, where: str) -> Error:
    """The error to raise in place of SQLite's.

    Args:
        exc: what ``sqlite3`` raised.
        where: the file, as messages name it.
    """
    primary = code(exc)
    if primary in _DAMAGED or "Could not decode" in str(exc):
        return StorageError(
            f"{where} is damaged ({exc}); stop every process that uses it, then restore it from a backup,"
            " or recover it with `sqlite3 FILE .recover`",
        )
    if "no such table" in str(exc) or "no such column" in str(exc):
        return StorageError(f"{where} lacks this release's tables ({exc}); run `gae-broker deploy`, which makes them")
    if primary == sqlite3.SQLITE_TOOBIG:
        return PublishRejectedError(f"{where} takes nothing so large ({exc}); make it smaller")
    return LedgerUnavailableError(f"{where} {_REMEDIES.get(primary, _OTHER).format(exc)}")
