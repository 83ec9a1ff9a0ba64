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
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection for the length of the block; one that failed is not used again."""
        connection = self._take()
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._give_back(connection)
            raise
        else:
            self._give_back(connection)

    def drop(self) -> None:
        """Close the idle ones; new ones are opened when needed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = self._connect()
        connection.executescript(f"PRAGMA busy_timeout={self._busy_ms}; PRAGMA query_only=ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()
