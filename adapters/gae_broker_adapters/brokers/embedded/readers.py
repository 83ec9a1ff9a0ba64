"""Connections that only read, kept open between calls."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_KEPT = 4


class Readers:
    """A few connections to read from; they never wait for writers, nor writers for them."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], busy_s: float) -> None:
        self._connect = connect
        self._busy_ms = int(busy_s * 1000)
        self._changed = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._in_use = 0
        self._is_held = False

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection for the length of the block; one that failed is not used again."""
        connection = self._take()
        try:
            yield connection
        except sqlite3.Error:
            self._give_back(connection, fit=False)
            raise
        except BaseException:
            self._give_back(connection, fit=True)
            raise
        else:
            self._give_back(connection, fit=True)

    def drop(self) -> None:
        """Close the idle ones; new ones are opened when needed."""
        with self._changed:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def hold_still(self, wait_s: float) -> None:
        """Let no reading begin, wait for what is under way, and close all."""
        with self._changed:
            self._is_held = True
            self._changed.wait_for(lambda: not self._in_use, wait_s)
        self.drop()

    def go_on(self) -> None:
        """Let reading begin again."""
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def _take(self) -> sqlite3.Connection:
        with self._changed:
            while self._is_held:
                self._changed.wait()
            self._in_use += 1
            if self._idle:
                return self._idle.pop()
        try:
            connection = self._connect()
            connection.executescript(f"PRAGMA busy_timeout={self._busy_ms}; PRAGMA query_only=ON")
        except BaseException:
            self._count_out()
            raise
        return connection

    def _give_back(self, connection: sqlite3.Connection, *, fit: bool) -> None:
        if fit and len(self._idle) < _KEPT:
            self._idle.append(connection)
        else:
            connection.close()
        self._count_out()

    def _count_out(self) -> None:
        with self._changed:
            self._in_use -= 1
            if self._is_held:
                self._changed.notify_all()
