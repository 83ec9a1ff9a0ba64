"""SQLite connections of one process: a writer behind a lock, and readers that never wait for it."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from gae_broker.errors import BrokerUnavailableError, StorageError
from gae_broker_adapters.brokers.embedded import faults
from gae_broker_adapters.brokers.embedded.log import Log
from gae_broker_adapters.brokers.embedded.readers import Readers

WAIT_S = 10.0
"""How long a call waits for other processes' transactions where its caller gave no deadline."""

_FIRST_PAUSE_S = 0.0001
_LONGEST_PAUSE_S = 0.001
_CHECKPOINT_PAGES = 4000  # 16 MB: a page that changes often is copied back to the file once, not often
_WAL_LIMIT = 64 * 1024 * 1024
_CACHE_KIB = 32 * 1024
_ABANDONED: list[object] = []  # connections of a parent process: to close them here could release its locks


class Connections:
    """The connections that one broker object uses in one process.

    Attributes:
        path: the file's absolute path; ``None`` for a database in memory, which has one connection only.
        where: the database, as messages name it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.where = "the in-memory broker" if path is None else f"the broker file {path}"
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._log = Log(self.where)
        self._identity: tuple[int, int] | None = None
        self._data_version = -1
        self._readers = Readers(self._connect, WAIT_S)
        self._closed = False

    @contextmanager
    def writing(self, wait_s: float = WAIT_S, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One write transaction, committed at the end, rolled back on an exception.

        Args:
            wait_s: how long to wait for other threads' and processes' transactions.
            durable: whether it must survive a power failure once this returns (it survives kill -9 anyway).

        Raises:
            BrokerUnavailableError, PublishRejectedError, StorageError: see `faults`.
        """
        self._require_own_process()
        deadline = time.monotonic() + wait_s
        if not self._lock.acquire(timeout=max(wait_s, 0.0)):
            raise faults.locked(self.where, wait_s)
        log = None
        try:
            connection = self._begin(deadline, wait_s)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
            if durable:
                log = self._log.borrow()
        except sqlite3.Error as exc:
            self._recover(exc)
            raise faults.translate(exc, self.where, publishing=durable) from exc
        finally:
            self._lock.release()
        if log is not None:
            self._log.flush(log)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from; each statement sees all that was committed before it began."""
        if self.path is None:
            with self.writing() as connection:
                yield connection
            return
        self._require_own_process()
        try:
            with self._readers.borrowed() as connection:
                yield connection
        except sqlite3.Error as exc:
            raise faults.translate(exc, self.where, publishing=False) from exc

    def foreign_commits(self) -> bool:
        """Whether another connection to the file committed since the last call; ``False`` while a thread writes."""
        if self.path is None or not self._lock.acquire(blocking=False):
            return False
        try:
            connection = self._writer or self._open_writer()
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            changed = version != self._data_version
            self._data_version = version
        except sqlite3.Error as exc:
            if faults.is_busy(exc):
                return False
            raise faults.translate(exc, self.where, publishing=False) from exc
        finally:
            self._lock.release()
        return bool(changed)

    def close(self) -> None:
        """Close every connection for good. Idempotent."""
        with self._lock:
            self._closed = True
            self._drop()

    # ------------------------------------------------------------------------------------------ fork

    def hold_still(self, wait_s: float) -> bool:
        """Before a fork: let nothing be under way, and close the file; whether `go_on` must follow.

        SQLite keeps its view of the file's locks in the process's memory, which a child inherits: with a
        transaction under way in the parent, the child would wait for its end for ever, and with the file open
        it would take the parent's locks for its own (https://sqlite.org/howtocorrupt.html, section 2.6).
        """
        if self.path is None or not self._lock.acquire(timeout=wait_s):
            return False
        self._readers.hold_still(wait_s)
        self._drop()
        return True

    def go_on(self) -> None:
        """In the parent, after the fork that `hold_still` prepared."""
        self._readers.go_on()
        self._lock.release()

    def abandon(self) -> None:
        """In a child: never use nor close what the parent opened."""
        _ABANDONED.append(self)

    # ------------------------------------------------------------------------------------------ the writer

    def _begin(self, deadline: float, waited_s: float) -> sqlite3.Connection:
        """Start a write transaction, trying again after short random pauses.

        SQLite's own busy handler backs off to 100 ms, in which other processes' short transactions overtake
        this one again and again.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                connection = self._writer or self._open_writer()
                self._require_same_file()
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as exc:
                if not faults.is_busy(exc):
                    raise
                if time.monotonic() + pause_s >= deadline:
                    raise faults.locked(self.where, waited_s) from exc
                time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads waiters, guards nothing
                pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            else:
                return connection

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._drop()

    def _open_writer(self) -> sqlite3.Connection:
        connection = self._connect()
        if self.path is not None:
            try:
                _configure(connection)
                self._log.open(self.path)
            except BaseException:
                connection.close()
                raise
            self._identity = _identity(self.path)
        self._writer = connection
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise BrokerUnavailableError(f"{self.where} was closed by this process; open it again")
        target = ":memory:" if self.path is None else f"file:{quote(str(self.path))}?mode=rw"
        return sqlite3.connect(
            target,
            uri=True,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _require_same_file(self) -> None:
        """Tasks must not vanish into a file that somebody removed or replaced while it was open."""
        if self.path is None or _identity(self.path) == self._identity:
            return
        self._drop()
        raise StorageError(f"{self.where} was removed or replaced while in use; put it back, and restart this process")

    def _require_own_process(self) -> None:
        if self._pid == os.getpid():
            return
        if self.path is None:
            raise BrokerUnavailableError(
                f"{self.where} belongs to the process that opened it; to share one between forked processes,"
                " use a file (embedded:///FILE)",
            )
        raise BrokerUnavailableError(f"{self.where} was opened before a fork; subscribe again in the new process")

    def _recover(self, exc: sqlite3.Error) -> None:
        """Let the next call find what this one's failure can be healed by.

        After damage or an I/O error it finds new connections, for old ones can be in a state that does not heal.
        On a full disk it finds the log of changes copied back and cut off, which may be all that filled the disk.
        """
        if faults.code(exc) in faults.BREAKING:
            self._drop()
        elif faults.code(exc) == sqlite3.SQLITE_FULL and self._writer is not None:
            with suppress(sqlite3.Error):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _drop(self) -> None:
        self._readers.drop()
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        self._log.close()


def _configure(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"PRAGMA synchronous=NORMAL; PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA cell_size_check=ON;"
        f" PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}; PRAGMA journal_size_limit={_WAL_LIMIT}",
    )
    connection.execute("SELECT 1 FROM sqlite_master").fetchall()  # makes the log, where there is none


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
