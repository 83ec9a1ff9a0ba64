"""Which subscription consumes a queue: one row per queue, gone when its owner leaves or dies."""

from __future__ import annotations

import sqlite3


def acquire(connection: sqlite3.Connection, queue_id: int, token: int, receiver: int) -> bool:
    """Become the queue's owner if it has none; whether this subscription owns it now."""
    connection.execute("INSERT OR IGNORE INTO broker_owners VALUES (?, ?, ?)", (queue_id, token, receiver))
    return is_owner(connection, queue_id, token)


def is_owner(connection: sqlite3.Connection, queue_id: int, token: int) -> bool:
    """Whether this subscription owns the queue."""
    row = connection.execute("SELECT token FROM broker_owners WHERE queue_id = ?", (queue_id,)).fetchone()
    return row is not None and row[0] == token


def release(connection: sqlite3.Connection, token: int) -> None:
    """Own nothing any more."""
    connection.execute("DELETE FROM broker_owners WHERE token = ?", (token,))
