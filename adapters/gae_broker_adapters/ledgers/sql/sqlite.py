"""The ledger's SQLite: a file that several processes use at once, or a database in memory."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from gae_broker.errors import Error, SettingsError
from gae_broker.ports import Check
from gae_broker_adapters.ledgers.sql import sqlite_faults
from gae_broker_adapters.ledgers.sql.sqlite_file import LedgerFile

_KEPT = 8
_BEYOND = 56
_POOL_WAIT_S = 5.0
_CACHE_KIB = 32 * 1024
_CHECKPOINT_PAGES = 4000  # 16 MB: a page changed often is copied back once, at some cost in the file's size
_WAL_LIMIT = 64 * 1024 * 1024


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
            raise SettingsError(f"ledger url {url!r}: expected sqlite:///FILE, sqlite:////absolute/FILE or sqlite://")
        self.private = url.database in {None, "", ":memory:"}
        self._file = None if self.private else LedgerFile(Path(str(url.database)).absolute())
        self.where = "the in-memory ledger" if self._file is None else self._file.where

    def prepare(self) -> None:
        """Make the file. See `LedgerFile.make`."""
        if self._file is not None:
            self._file.make()

    def is_there(self) -> bool:
        """Whether the file is; one that could not be made, or was there before, is left to opening it."""
        return self._file is None or not self._file.is_awaited

    def open(self) -> sa.Engine:
        """A pool over the file; one connection where the database is in memory."""
        # AUTOCOMMIT: SQLAlchemy and the driver leave transactions alone, as the driver's own begin with the first
        # write and so fail where another process wrote since the first read.
        if self._file is None:
            return sa.create_engine(
                "sqlite+pysqlite://",
                creator=self._connect,
                poolclass=StaticPool,
                isolation_level="AUTOCOMMIT",
            )
        self._file.remember()
        return sa.create_engine(
            "sqlite+pysqlite://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=_KEPT,
            max_overflow=_BEYOND,
            pool_timeout=_POOL_WAIT_S,
            isolation_level="AUTOCOMMIT",
        )

    def require_intact(self) -> None:
        """See `LedgerFile.require_same`."""
        if self._file is not None:
            self._file.require_same()

    def begin(self, connection: sa.Connection) -> None:
        """Take the write lock at once, or fail at once."""
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

    def allow_long(self, connection: sa.Connection) -> None:
        """Nothing limits it."""

    def passes(self, exc: SQLAlchemyError, *, committing: bool) -> bool:
        """Whether another connection's lock stood in the way."""
        return not committing and sqlite_faults.is_busy(sqlite_faults.cause(exc))

    def translate(self, exc: SQLAlchemyError) -> Error:
        """By SQLite's result code."""
        return sqlite_faults.translate(sqlite_faults.cause(exc), self.where)

    def now_us(self, _: sa.Connection) -> None:
        """The file has no clock."""

    def health(self, _: sa.Connection) -> list[Check]:
        """The file's size, and the room on its disk."""
        return [] if self._file is None else [self._file.room()]

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a file that was removed must not be replaced by an empty one in silence.
        target = ":memory:" if self._file is None else f"file:{quote(str(self._file.path))}?mode=rw"
        connection = sqlite3.connect(
            target,
            uri=True,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.executescript(
            f"PRAGMA synchronous=FULL; PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA cell_size_check=ON;"
            f" PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}; PRAGMA journal_size_limit={_WAL_LIMIT}",
        )
        return connection
