"""The file of a SQLite ledger: making it, and noticing that it is not the same any more."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

from gae_broker.errors import ConfigurationError, StorageError
from gae_broker.ports import Check, CheckStatus
from gae_broker_adapters.ledgers.sql import sqlite_faults

_WAL_WAIT_S = 5.0
_PAUSE_S = 0.01
_LITTLE_ROOM = 256 * 1024 * 1024
_MIB = 1024 * 1024
_UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class LedgerFile:
    """A file, which may be the embedded broker's own.

    Args:
        path: where it is, absolute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = f"the ledger file {path}"
        self._identity: tuple[int, int] | None = None
        self._was_there = False

    @property
    def is_awaited(self) -> bool:
        """Whether it only waits to be made: it was never there, and its directory is."""
        return not self._was_there and not self.path.exists() and self.path.parent.is_dir()

    def make(self) -> None:
        """Create it where it is missing, and switch it to write-ahead logging, which it then remembers.

        Raises:
            ConfigurationError: the directory is missing or may not be written, or its file system will not do.
            LedgerUnavailableError, StorageError: the file cannot be used.
        """
        if not self.path.parent.is_dir():
            raise ConfigurationError(
                f"the directory {self.path.parent} of {self.where} does not exist; create it, or correct the url",
            )
        deadline = time.monotonic() + _WAL_WAIT_S
        while True:
            try:
                self._switch_to_wal()
            except sqlite3.Error as exc:
                if sqlite_faults.code(exc) in _UNUSABLE:
                    raise ConfigurationError(
                        f"{self.where} cannot be opened for writing ({exc}); check its path and permissions",
                    ) from exc
                if not sqlite_faults.is_busy(exc) or time.monotonic() > deadline:
                    raise sqlite_faults.translate(exc, self.where) from exc
                time.sleep(_PAUSE_S)
            else:
                return

    def remember(self) -> None:
        """Take the file that is there now for the one to expect."""
        try:
            self._identity = self._found()
            self._was_there = True
        except OSError:
            self._identity = None  # whoever opens it learns why

    def require_same(self) -> None:
        """Whoever removes or replaces the file must not see facts vanish into the unlinked one.

        Raises:
            StorageError: it is gone, or another one than before.
        """
        if self._identity is None:
            return
        try:
            found = self._found()
        except OSError as exc:
            raise StorageError(
                f"{self.where} is gone ({exc.strerror}); put it back, then restart this process",
            ) from exc
        if found != self._identity:
            raise StorageError(f"{self.where} was replaced by another file while in use; restart this process")

    def room(self) -> Check:
        """The file's size, and the room on its disk."""
        path = self.path
        try:
            files = (path, path.with_name(f"{path.name}-wal"))
            used = sum(file.stat().st_size for file in files if file.exists())
            free = shutil.disk_usage(path.parent).free
        except OSError as exc:
            return Check("ledger disk", CheckStatus.FAILED, f"{path}: {exc.strerror}")
        text = f"{used / _MIB:.0f} MiB used by {path}, {free / _MIB:.0f} MiB free on its disk"
        return Check("ledger disk", CheckStatus.OK if free > _LITTLE_ROOM else CheckStatus.WARNING, text)

    def _found(self) -> tuple[int, int]:
        stat = self.path.stat()
        return stat.st_dev, stat.st_ino

    def _switch_to_wal(self) -> None:
        connection = sqlite3.connect(self.path, timeout=0.0, isolation_level=None)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        finally:
            connection.close()
        if mode != "wal":
            raise ConfigurationError(
                f"{self.where} lies on a file system without shared memory (a network share?): SQLite keeps journal"
                f" mode {mode!r}; put it on a local disk",
            )
