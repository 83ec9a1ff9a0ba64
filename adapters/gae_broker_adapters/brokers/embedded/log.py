"""Waiting until SQLite's log of changes is on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from gae_broker.errors import BrokerUnavailableError

_flush_file = getattr(os, "fdatasync", os.fsync)  # as SQLite does


class Log:
    """The write-ahead log of one database, held open to be flushed.

    SQLite could wait for the disk in COMMIT (``synchronous=FULL``), but holds its lock meanwhile: with a busy disk,
    other processes then hardly ever find it free. Here the lock is released first, and the log flushed afterwards
    (three processes publishing at once on a busy machine: 1,800/s in place of 550/s, and the longest wait for the
    lock 28 ms in place of 1.3 s).

    It is as safe: what a checkpoint has moved out of the log by then, it has flushed to the database before
    (``synchronous=NORMAL``, https://sqlite.org/pragma.html#pragma_synchronous), and SQLite keeps no locks on this
    file that closing a handle on it could release.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._handle: int | None = None

    def open(self, database: Path) -> None:
        """Open the log of a database; a connection to it must have read something already, so that it exists."""
        self.close()
        try:
            self._handle = os.open(f"{database}-wal", os.O_RDWR)
        except OSError as exc:
            raise BrokerUnavailableError(f"{self._where}: its log cannot be opened ({exc.strerror})") from exc

    def close(self) -> None:
        """Release it. Idempotent."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None

    def borrow(self) -> int | None:
        """A handle for `flush`, which stays open if another thread closes this; ``None`` where there is no log."""
        if self._handle is None:
            return None
        try:
            return os.dup(self._handle)
        except OSError as exc:
            raise self._not_flushed(exc) from exc

    def flush(self, borrowed: int) -> None:
        """Wait until all that was written so far is on the disk.

        Raises:
            BrokerUnavailableError: it may be there or not.
        """
        try:
            _flush_file(borrowed)
        except OSError as exc:
            raise self._not_flushed(exc) from exc
        finally:
            os.close(borrowed)

    def _not_flushed(self, exc: OSError) -> BrokerUnavailableError:
        return BrokerUnavailableError(
            f"{self._where}: what was written may not be on its disk ({exc.strerror}); see that the disk works",
        )
