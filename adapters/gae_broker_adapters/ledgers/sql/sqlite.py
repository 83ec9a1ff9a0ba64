"""The ledger's SQLite: a file that several processes use at once, or a database in memory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from gae_broker.errors import ConfigurationError, Error, LedgerUnavailableError, SettingsError, StorageError
from gae_broker.ports import Check, CheckStatus

_PRIMARY = 0xFF  # extended result codes carry the primary one in their low byte
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_WAL_WAIT_S = 5.0
_PAUSE_S = 0.01
_READERS_KEPT = 8
_READERS_BEYOND = 56
_CACHE_KIB = 32 * 1024
_CHECKPOINT_PAGES = 4000  # 16 MB: a page changed often is copied back once, at some cost in the file's size
_WAL_LIMIT = 64 * 1024 * 1024
_LITTLE_ROOM = 256 * 1024 * 1024
_MIB = 1024 * 1024


class SQLite:
    """See `Database`. Write-ahead logging, each commit synced to the disk before it returns.

    Args:
        url: ``sqlite:///FILE`` or ``sqlite://``.

    Raises:
        SettingsError: the url says more than a file.
    """

    serial = True

    def __init__(self, url: sa.URL) -> None:
        if url.host or url.query or url.get_driver_name() != "pysqlite":
            raise SettingsError(f"ledger url {url!r}: expected sqlite:///relative.db, sqlite:////absolute.db or sqlite://")
        in_memory = url.database in {None, "", ":memory:"}
        self._path = None if in_memory else os.path.abspath(str(url.database))
        self._identity: tuple[int, int] | None = None
        self.private = in_memory
        self.where = "the in-memory ledger" if in_memory else f"the ledger file {self._path}"

    def prepare(self) -> None:
        """Create the file where it is missing, and switch it to write-ahead logging, which it then remembers.

        Raises:
            ConfigurationError: the directory is missing, or may not be written, or its file system will not do.
            LedgerUnavailableError, StorageError: the file cannot be used.
        """
        if self._path is None:
            return
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            raise ConfigurationError(f"the directory {directory} of {self.where} does not exist; create it, or correct the url")
        deadline = time.monotonic() + _WAL_WAIT_S
        while True:
            try:
                self._switch_to_wal(self._path)
            except sqlite3.Error as exc:
                if _code(exc) not in _BUSY or time.monotonic() > deadline:
                    raise self._translate(exc) from exc
                time.sleep(_PAUSE_S)
            else:
                return

    def open(self) -> sa.Engine:
        """A pool over the file; one connection where the database is in memory."""
        # SQLAlchemy leaves transactions alone in this mode; `begin` and `commit` do without the driver's, which
        # start at the first write and so fail where another process wrote in between.
        if self._path is None:
            return sa.create_engine(
                "sqlite+pysqlite://", creator=self._connect, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
            )
        self._identity = None
        return sa.create_engine(
            "sqlite+pysqlite://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=_READERS_KEPT,
            max_overflow=_READERS_BEYOND,
            isolation_level="AUTOCOMMIT",
        )

    def begin(self, connection: sa.Connection) -> None:
        """Take the write lock at once, or fail at once."""
        self._require_same_file()
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def commit(self, connection: sa.Connection) -> None:
        """Write and sync."""
        connection.exec_driver_sql("COMMIT")

    def rollback(self, connection: sa.Connection) -> None:
        """Undo, where SQLite did not do so itself."""
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection) and driver.in_transaction:
            connection.exec_driver_sql("ROLLBACK")

    def exclude_others(self, connection: sa.Connection) -> None:
        """The write lock does."""

    def passes(self, exc: SQLAlchemyError, *, committing: bool) -> bool:
        """Whether another connection's lock stood in the way."""
        return not committing and _code(_cause(exc)) in _BUSY

    def translate(self, exc: SQLAlchemyError) -> Error:
        """By SQLite's result code."""
        return self._translate(_cause(exc))

    def health(self, connection: sa.Connection) -> list[Check]:
        """The file's size, and the room on its disk."""
        if self._path is None:
            return []
        try:
            used = sum(os.path.getsize(self._path + end) for end in ("", "-wal") if os.path.exists(self._path + end))
            free = shutil.disk_usage(os.path.dirname(self._path)).free
        except OSError as exc:
            return [Check("ledger disk", CheckStatus.FAILED, f"{self._path}: {exc.strerror}")]
        text = f"{used / _MIB:.0f} MiB used by {self._path}, {free / _MIB:.0f} MiB free on its disk"
        return [Check("ledger disk", CheckStatus.OK if free > _LITTLE_ROOM else CheckStatus.WARNING, text)]

    # ------------------------------------------------------------------------------------------ files

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a file that was removed must not be replaced by an empty one in silence.
        target = ":memory:" if self._path is None else f"file:{quote(self._path)}?mode=rw"
        connection = sqlite3.connect(
            target,
            uri=True,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT}")
        if self._path is not None and self._identity is None:
            self._identity = _identity(self._path)
        return connection

    def _switch_to_wal(self, path: str) -> None:
        connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        finally:
            connection.close()
        if mode != "wal":
            raise ConfigurationError(
                f"{self.where} lies on a file system without shared memory (a network share?): SQLite keeps journal"
                f" mode {mode!r}; put it on a local disk",
            )

    def _require_same_file(self) -> None:
        """Whoever removes or replaces the file must not see facts vanish into the unlinked one."""
        if self._path is None or self._identity is None:
            return
        try:
            found = _identity(self._path)
        except OSError as exc:
            raise StorageError(f"{self.where} is gone ({exc.strerror}); put it back, then restart this process") from exc
        if found != self._identity:
            raise StorageError(f"{self.where} was replaced by another file while in use; restart this process")

    def _translate(self, exc: BaseException) -> Error:
        code = _code(exc)
        if code in _DAMAGED or "Could not decode" in str(exc):
            return StorageError(
                f"{self.where} is damaged ({exc}); stop every process that uses it, then restore it from a backup,"
                " or recover it with `sqlite3 FILE .recover`",
            )
        if "no such table" in str(exc) or "no such column" in str(exc):
            return StorageError(f"{self.where} lacks this release's tables ({exc}); restart the process, it makes them")
        return LedgerUnavailableError(f"{self.where} {_REMEDIES.get(code, _OTHER).format(exc)}")


_OTHER = "cannot be used now ({}); see that its disk works, then try again"
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "stayed locked by another process ({}); try again, and look for a process that keeps a"
    " transaction open on it",
    sqlite3.SQLITE_LOCKED: "stayed locked ({}); try again",
    sqlite3.SQLITE_FULL: "cannot grow ({}); free space on its disk, then try again",
    sqlite3.SQLITE_READONLY: "cannot be written ({}); make the file and its directory writable, then try again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened ({}); see that it is there and may be read and written",
    sqlite3.SQLITE_PERM: "may not be used ({}); correct its permissions",
}


def _cause(exc: SQLAlchemyError) -> BaseException:
    return exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc


def _code(exc: BaseException) -> int:
    """The primary result code, 0 where something else raised."""
    return int(getattr(exc, "sqlite_errorcode", 0)) & _PRIMARY


def _identity(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_dev, stat.st_ino
