"""Who holds messages: a row per broker object that ever took one, kept alive by a heartbeat."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time

from gae_broker_adapters.brokers.embedded import queues as counters
from gae_broker_adapters.brokers.embedded.schema import WAITING

CALL_BITS = 32
"""A claim is the receiver's number, then so many bits of the number of its call."""

_SMALLEST = 2**30  # up to twice that: a claim then fills its 63 bits (see schema.py)

BEAT_S = 1.0
DEAD_AFTER_US = 5_000_000
_FIT_TO_JUDGE_US = 3_000_000


class Receiver:
    """This broker object's row among the receivers. Every method runs within a write transaction.

    Heartbeats are told in `time.monotonic`, which processes of one machine share and which neither a corrected
    nor a virtual clock moves. After a reboot it starts low: a heartbeat from the future is as dead as an old one.
    """

    def __init__(self) -> None:
        self._id = 0
        self._renewed_us = 0

    def id(self, connection: sqlite3.Connection) -> int:
        """The receiver's number, its heartbeat renewed; a new number if it was thought dead meanwhile."""
        now_us = _now_us()
        cursor = connection.execute("UPDATE broker_receivers SET seen_us = ? WHERE id = ?", (now_us, self._id))
        if cursor.rowcount == 0:
            # Drawn at random, not counted up: a number counted up in a transaction that is rolled back would be
            # given to somebody else next, and two receivers would pass for one.
            self._id = _SMALLEST + secrets.randbelow(_SMALLEST)
            connection.execute("INSERT INTO broker_receivers VALUES (?, ?, ?)", (self._id, now_us, os.getpid()))
        self._renewed_us = now_us
        return self._id

    @property
    def is_needed(self) -> bool:
        """Whether anything was ever taken, so that there is a heartbeat to keep up."""
        return self._id != 0

    def bury_the_dead(self, connection: sqlite3.Connection) -> set[int]:
        """Give back what dead receivers held; the numbers of the queues that changed."""
        changed: set[int] = set()
        for (dead,) in self.dead(connection):
            changed |= _give_back(connection, dead, counted_as=1)
        return changed

    def dead(self, connection: sqlite3.Connection) -> list[tuple[int]]:
        """The numbers of receivers whose heartbeat stopped.

        A receiver whose own heartbeat was held up does not judge others: what held it up (a machine suspended, a
        file locked for long) held them up too, and they need a moment to show that they live.
        """
        now_us = _now_us()
        if self._id and now_us - self._renewed_us > _FIT_TO_JUDGE_US:
            return []
        return connection.execute(
            "SELECT id FROM broker_receivers WHERE id <> ? AND (seen_us < ? OR seen_us > ?)",
            (self._id, now_us - DEAD_AFTER_US, now_us + DEAD_AFTER_US),
        ).fetchall()

    def retire(self, connection: sqlite3.Connection) -> set[int]:
        """Give back what this receiver holds, undone, and remove its row."""
        changed = _give_back(connection, self._id, counted_as=0)
        self._id = 0
        return changed


def _give_back(connection: sqlite3.Connection, receiver: int, counted_as: int) -> set[int]:
    first, last = receiver << CALL_BITS, (receiver + 1 << CALL_BITS) - 1
    changed = {
        row[0]
        for row in connection.execute("DELETE FROM broker_owners WHERE receiver = ? RETURNING queue_id", (receiver,))
    }
    for (queue_id,) in connection.execute("SELECT id FROM broker_queues WHERE unacked > 0").fetchall():
        dues_us = connection.execute(
            "UPDATE broker_messages SET claim = ?, delivery_count = delivery_count + ?"
            " WHERE queue_id = ? AND claim > 0 AND claim BETWEEN ? AND ? RETURNING due_us",
            (WAITING, counted_as, queue_id, first, last),
        ).fetchall()
        if dues_us:
            counters.add_waiting(connection, queue_id, (due_us for (due_us,) in dues_us), 1, -len(dues_us))
            changed.add(queue_id)
    connection.execute("DELETE FROM broker_receivers WHERE id = ?", (receiver,))
    return changed


def _now_us() -> int:
    return time.monotonic_ns() // 1000
