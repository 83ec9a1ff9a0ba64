"""The peers: what else could do the same work on the same machine, driven with its own defaults."""

from __future__ import annotations

import sqlite3
from pathlib import Path

PAYLOAD = b"x" * 200


def bare_sqlite_add(path: Path, count: int, batch: int) -> None:
    """A durable table without any queue around it: the ceiling for an embedded add."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, due INTEGER, body BLOB)"
    )
    for first in range(0, count, batch):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(f"task-{number:09}", number, PAYLOAD) for number in range(first, first + batch)]
        connection.executemany("INSERT OR IGNORE INTO t (name, due, body) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    connection.close()


class HueyPeer:
    """huey on its SQLite storage: the task queue that people use where there is no broker."""

    def __init__(self, path: Path) -> None:
        from huey import SqliteHuey  # noqa: PLC0415 - a peer, installed for benchmarks only

        self._huey = SqliteHuey("bench", filename=str(path), fsync=True, results=False)
        self._noop = self._huey.task()(_noop)

    def add(self, count: int) -> None:
        """Enqueue one by one: huey has no batch add."""
        for _ in range(count):
            self._noop(PAYLOAD)

    def drain(self, count: int) -> None:
        """Take and execute tasks in this thread, as huey's worker does."""
        for _ in range(count):
            task = self._huey.dequeue()
            if task is None:
                return
            self._huey.execute(task)


def _noop(payload: bytes) -> int:
    return len(payload)
