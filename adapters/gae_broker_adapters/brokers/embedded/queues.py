"""The queues of an embedded broker: their rows, ids and counters."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import UnknownQueueError
from gae_broker_adapters.brokers.embedded.connections import Connections


class Queues:
    """Knows the queues by number. Queues are never removed, so a number once seen stays right."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._ids: dict[tuple[str, str], int] = {}

    def declare(self, queues: Iterable[Queue]) -> None:
        """Make the queues exist, each with its dead letters' queue; writes only what is new."""
        wanted = {queue.name: Kind.PULL if queue.mode is Mode.PULL else Kind.PUSH for queue in queues}
        known = self.known()
        new = {name: kind for name, kind in wanted.items() if known.get(name) is not kind}
        if not new:
            return
        with self._connections.writing() as connection:
            connection.executemany("UPDATE broker_queues SET current = 0 WHERE name = ?", [(name,) for name in new])
            connection.executemany(
                "INSERT INTO broker_queues (kind, name, current) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, name) DO UPDATE SET current = excluded.current",
                [row for name, kind in new.items() for row in ((str(kind), name, 1), (str(Kind.DEAD), name, 0))],
            )

    def known(self) -> Mapping[str, Kind]:
        """Every queue by name, with the kind it was last declared as."""
        with self._connections.reading() as connection:
            rows = connection.execute("SELECT name, kind FROM broker_queues WHERE current ORDER BY name").fetchall()
        return {name: Kind(kind) for name, kind in rows}

    def id(self, kind: Kind, queue: str) -> int:
        """The queue's number.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        known = self._ids.get((kind, queue))
        if known is not None:
            return known
        with self._connections.reading() as connection:
            return self.id_within(connection, kind, queue)

    def id_within(self, connection: sqlite3.Connection, kind: Kind, queue: str) -> int:
        """As `id`, within a transaction."""
        known = self._ids.get((kind, queue))
        if known is not None:
            return known
        row = connection.execute(
            "SELECT id FROM broker_queues WHERE kind = ? AND name = ?",
            (str(kind), queue),
        ).fetchone()
        if row is None:
            raise UnknownQueueError(
                f"there is no {kind} queue {queue!r} in {self._connections.where}; declare it in queue.yaml",
            )
        self._ids[str(kind), queue] = row[0]
        return int(row[0])


def counted_us(connection: sqlite3.Connection, queue_id: int) -> int:
    """Up to which due time the queue's waiting messages count as ready."""
    (mark,) = connection.execute("SELECT counted_us FROM broker_queues WHERE id = ?", (queue_id,)).fetchone()
    return int(mark)


def count_until(connection: sqlite3.Connection, queue_id: int, now_us: int) -> None:
    """Move the mark between ready and delayed to ``now_us``, forwards or (a clock put back) backwards."""
    mark = counted_us(connection, queue_id)
    if mark == now_us:
        return
    (between,) = connection.execute(
        "SELECT count(*) FROM broker_messages WHERE queue_id = ? AND claim < 0 AND due_us > ? AND due_us <= ?",
        (queue_id, min(mark, now_us), max(mark, now_us)),
    ).fetchone()
    matured = between if now_us > mark else -between
    connection.execute(
        "UPDATE broker_queues SET ready = ready + :matured, delayed = delayed - :matured, counted_us = :now"
        " WHERE id = :queue",
        {"matured": matured, "now": now_us, "queue": queue_id},
    )


def add(connection: sqlite3.Connection, queue_id: int, *, ready: int = 0, delayed: int = 0, unacked: int = 0) -> None:
    """Change a queue's counters, in the transaction that changes its messages."""
    connection.execute(
        "UPDATE broker_queues SET ready = ready + ?, delayed = delayed + ?, unacked = unacked + ? WHERE id = ?",
        (ready, delayed, unacked, queue_id),
    )


def add_waiting(connection: sqlite3.Connection, queue_id: int, dues_us: Iterable[int], sign: int, unacked: int) -> None:
    """Count waiting messages in (``sign`` 1) or out (-1) by their due times; ``unacked`` is added as it is."""
    mark = counted_us(connection, queue_id)
    ready = delayed = 0
    for due_us in dues_us:
        if due_us <= mark:
            ready += sign
        else:
            delayed += sign
    add(connection, queue_id, ready=ready, delayed=delayed, unacked=unacked)
