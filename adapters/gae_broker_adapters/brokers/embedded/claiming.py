"""Taking messages, removing them when they are done, and putting them back."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Clock, Delivery
from gae_broker_adapters.brokers.embedded import queues as counters
from gae_broker_adapters.brokers.embedded.connections import Connections
from gae_broker_adapters.brokers.embedded.queues import Queues
from gae_broker_adapters.brokers.embedded.receiver import CALL_BITS, Receiver
from gae_broker_adapters.brokers.embedded.schema import WAITING

_FIRST_DUE = "SELECT due_us FROM broker_messages WHERE queue_id = ? AND claim < 0 ORDER BY due_us LIMIT 1"
_CLAIM = """
UPDATE broker_messages SET claim = ? WHERE seq IN (
    SELECT seq FROM broker_messages WHERE queue_id = ? AND claim < 0 AND due_us <= ? ORDER BY due_us, key LIMIT ?
) RETURNING due_us, key, seq, copy_id, meta, body, delivery_count
"""


class Receipt(NamedTuple):
    """By which a delivered message is found again: valid only while the row still bears the claim."""

    seq: int
    claim: int
    queue_id: int


class Claiming:
    """Claims, acks and restores messages for one broker object."""

    def __init__(self, connections: Connections, queues: Queues, receiver: Receiver, clock: Clock) -> None:
        self._connections = connections
        self._queues = queues
        self._receiver = receiver
        self._clock = clock
        self._calls = itertools.count(1)

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """As `Puller.get`."""
        queue_id = self._queues.id(kind, queue)
        self._bring_back()
        if limit < 1 or not self.is_due(queue_id):
            return []
        with self._connections.writing() as connection:
            return self.claim(connection, kind, queue, queue_id, limit)

    def _bring_back(self) -> None:
        """Take from dead receivers what they held; a caller without a background thread has nobody else to do it."""
        with self._connections.reading() as connection:
            dead = self._receiver.dead(connection)
        if dead:
            with self._connections.writing() as connection:
                self._receiver.bury_the_dead(connection)

    def is_due(self, queue_id: int) -> bool:
        """Whether something can be claimed now; found out without the write lock."""
        first_us = self.first_due_us(queue_id)
        return first_us is not None and first_us <= self._clock.now_us()

    def first_due_us(self, queue_id: int) -> int | None:
        """When the first waiting message is due, ``None`` where none waits."""
        with self._connections.reading() as connection:
            row = connection.execute(_FIRST_DUE, (queue_id,)).fetchone()
        return None if row is None else int(row[0])

    def claim(
        self,
        connection: sqlite3.Connection,
        kind: Kind,
        queue: str,
        queue_id: int,
        limit: int,
    ) -> list[Delivery]:
        """Take up to ``limit`` due messages, within a transaction, smallest (due, key) first."""
        now_us = self._clock.now_us()
        counters.count_until(connection, queue_id, now_us)
        claim = self._receiver.id(connection) << CALL_BITS | next(self._calls) & (1 << CALL_BITS) - 1
        rows = connection.execute(_CLAIM, (claim, queue_id, now_us, limit)).fetchall()
        rows.sort()
        counters.add(connection, queue_id, ready=-len(rows), unacked=len(rows))
        return [
            Delivery(Message(copy_id, kind, queue, key, due_us, meta, body), count, Receipt(seq, claim, queue_id))
            for due_us, key, seq, copy_id, meta, body, count in rows
        ]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""
        if not deliveries:
            return
        with self._connections.writing() as connection:
            for queue_id, receipts in _by_queue(deliveries).items():
                cursor = connection.executemany(
                    "DELETE FROM broker_messages WHERE seq = ? AND claim = ?",
                    [(receipt.seq, receipt.claim) for receipt in receipts],
                )
                counters.add(connection, queue_id, unacked=-cursor.rowcount)

    def restore(self, deliveries: Sequence[Delivery]) -> set[int]:
        """As `Puller.restore`; the numbers of the queues that got something back."""
        if not deliveries:
            return set()
        with self._connections.writing() as connection:
            return self.restore_within(connection, deliveries)

    def restore_within(self, connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> set[int]:
        """As `restore`, within a transaction."""
        by_queue = _by_queue(deliveries)
        for queue_id, receipts in by_queue.items():
            dues_us: list[int] = []
            for receipt in receipts:
                dues_us += _unclaim(connection, receipt)
            counters.add_waiting(connection, queue_id, dues_us, 1, -len(dues_us))
        return set(by_queue)


def _unclaim(connection: sqlite3.Connection, receipt: Receipt) -> Iterable[int]:
    rows = connection.execute(
        "UPDATE broker_messages SET claim = ? WHERE seq = ? AND claim = ? RETURNING due_us",
        (WAITING, receipt.seq, receipt.claim),
    ).fetchall()
    return [due_us for (due_us,) in rows]


def _by_queue(deliveries: Sequence[Delivery]) -> dict[int, list[Receipt]]:
    receipts: dict[int, list[Receipt]] = {}
    for delivery in deliveries:
        receipt = cast("Receipt", delivery.receipt)
        receipts.setdefault(receipt.queue_id, []).append(receipt)
    return receipts
