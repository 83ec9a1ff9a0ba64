"""Transactions of one ledger object: their turns, their retries, their errors, and forks."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gae_broker.errors import LedgerUnavailableError, PublishRejectedError, StorageError
from gae_broker_adapters import forks
from gae_broker_adapters.ledgers.sql.database import Database
from gae_broker_adapters.ledgers.sql.gate import Gate

T = TypeVar("T")

WAIT_S = 5.0
"""How long a call waits for other transactions before it gives up."""

_FORK_WAIT_S = 30.0
"""A call ends by itself long before, but a commit may be slow; a child that inherits it could never write again."""

_FIRST_PAUSE_S = 0.0002
_LONGEST_PAUSE_S = 0.005
_LONG_WAIT_S = 1.0
_URGENT_PAUSE_S = 0.0005
"""Between tries after a long wait. SQLite has no queue: who tries seldom starves beside a process that writes on and
on, and whose lock is free for a fraction of a millisecond between two transactions."""
_ABANDONED: list[sa.Engine] = []  # a parent process's: closing them here could end its connections, or its locks


class _Progress:
    """How far a transaction came."""

    committing = False


_Run: TypeAlias = Callable[[Callable[[sa.Connection], T], _Progress], T]


class Connections:
    """Runs functions in transactions.

    Args:
        database: the kind of database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._pid = os.getpid()
        self._gate = Gate(serial=database.serial, private=database.private)
        self._opening = threading.Lock()
        self._engine: sa.Engine | None = None
        self._closed = False
        forks.watch(self)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a function that sends one query.

        Raises:
            LedgerUnavailableError, StorageError: see `Database.translate`.
        """
        self._require_usable()
        deadline = time.monotonic() + WAIT_S
        with self._gate.reading(WAIT_S) as turn:
            if not turn:
                raise self._locked()
            self._require_open()
            return self._attempt(self._read, work, deadline)

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a function in one transaction; again from the start, if others stood in its way.

        Raises:
            LedgerUnavailableError, StorageError: nothing was done; or, where the connection was lost while
                committing, it is not known to be done.
        """
        self._require_usable()
        deadline = time.monotonic() + WAIT_S
        with self._gate.writing(WAIT_S) as turn:
            if not turn:
                raise self._locked()
            self._require_open()
            return self._attempt(self._write, work, deadline)

    def close(self) -> None:
        """Close every connection for good, when the calls under way have ended. Idempotent."""
        self._closed = True
        if self._engine is None or self._pid != os.getpid():
            return
        # SQLite crashes the process if a connection is closed while another thread has a statement running on it;
        # one that does not end in time is left to the garbage collector.
        if self._gate.shut(WAIT_S):
            self._engine.dispose()
        self._engine = None
        self._gate.open()

    # ------------------------------------------------------------------------------------------ transactions

    def _attempt(self, run: _Run[T], work: Callable[[sa.Connection], T], deadline: float) -> T:
        """Try once, and until it succeeds, fails for good, or the deadline is over; in short random pauses."""
        pause_s = _FIRST_PAUSE_S
        urgent_from = time.monotonic() + _LONG_WAIT_S
        while True:
            progress = _Progress()
            try:
                return run(work, progress)
            except SQLAlchemyError as exc:
                passes = self.database.passes(exc, committing=progress.committing)
                if not passes or time.monotonic() + pause_s >= deadline:
                    if not passes and self.database.serial:
                        self._start_over()  # a server's dead connections are dropped one by one
                    raise self.database.translate(exc) from exc
            except (OverflowError, UnicodeError) as exc:
                raise PublishRejectedError(f"{self.database.where} cannot store this: {exc}") from exc
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311
            pause_s = _URGENT_PAUSE_S if time.monotonic() > urgent_from else min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def _read(self, work: Callable[[sa.Connection], T], _: _Progress) -> T:
        with self._opened().connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[sa.Connection], T], progress: _Progress) -> T:
        with self._opened().connect() as connection:
            self.database.begin(connection)
            try:
                result = work(connection)
                progress.committing = True
                self.database.commit(connection)
            except BaseException:
                with suppress(SQLAlchemyError):
                    self.database.rollback(connection)
                raise
            return result

    def _opened(self) -> sa.Engine:
        with self._opening:
            if self._engine is None:
                self._engine = self.database.open()
                return self._engine
            engine = self._engine
        try:
            self.database.require_intact()
        except StorageError:
            self._start_over()
            raise
        return engine

    def _start_over(self) -> None:
        """Use new connections from now on; the old ones may be in a state that does not heal."""
        if self.database.private:
            return
        with self._opening:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _require_open(self) -> None:
        if self._closed:
            raise LedgerUnavailableError(f"{self.database.where} was closed by this process; open it again")

    def _require_usable(self) -> None:
        self._require_open()
        if self._pid == os.getpid():
            return
        if self.database.private:
            raise LedgerUnavailableError(
                f"{self.database.where} belongs to the process that opened it; what forks needs a file or a server",
            )
        self.after_in_child()

    def _locked(self) -> LedgerUnavailableError:
        return LedgerUnavailableError(
            f"{self.database.where} was kept busy by this process's other threads for {WAIT_S:.3g} s; try again",
        )

    # ------------------------------------------------------------------------------------------ fork

    def before_fork(self) -> bool:
        """Close a file: SQLite's view of its locks is in the process's memory, which a child inherits.

        See https://sqlite.org/howtocorrupt.html, section 2.6.
        """
        if not self.database.serial or self.database.private:
            return False
        self._gate.shut(_FORK_WAIT_S)
        if self._engine is not None:
            self._engine.dispose()
        return True

    def after_in_parent(self) -> None:
        """Go on."""
        self._gate.open()

    def after_in_child(self) -> None:
        """Start over with connections of its own."""
        if self.database.private:
            return
        if self._engine is not None:
            _ABANDONED.append(self._engine)
        self._engine = None
        self._opening = threading.Lock()
        self._gate = Gate(serial=self.database.serial, private=False)
        self._pid = os.getpid()
