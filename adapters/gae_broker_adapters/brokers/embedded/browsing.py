"""Looking into queues, and removing what nobody has in hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import TransientError
from gae_broker.ports import Clock, Depth
from gae_broker_adapters.brokers.embedded import queues as counters
from gae_broker_adapters.brokers.embedded.connections import Connections
from gae_broker_adapters.brokers.embedded.queues import Queues

_CHUNKS = (1, 8, 64, 512)  # few lengths, so that few statements are compiled and all stay cached
_PURGED_AT_ONCE = 2000  # some 20 ms of the write lock, after which others get their turn
_BEFORE_ALL_US = -(2**63)
_COUNTED_ANEW = 1000  # matured messages from which on a depth keeps what it counted
_COUNTING_WAIT_S = 0.05

_WAITING = "FROM broker_messages WHERE queue_id = :queue AND claim < 0"
_DEPTH = f"""
SELECT ready, delayed, unacked,
    (SELECT count(*) {_WAITING} AND due_us > counted_us AND due_us <= :now),
    (SELECT count(*) {_WAITING} AND due_us > :now AND due_us <= counted_us),
    (SELECT due_us {_WAITING} ORDER BY due_us LIMIT 1),
    (SELECT min(due_us) FROM broker_messages WHERE queue_id = :queue AND claim > 0)
FROM broker_queues WHERE id = :queue
"""  # noqa: S608 - constants only
_COLUMNS = "copy_id, key, due_us, meta, body"


class Browsing:
    """`gae_broker.ports.Browser` over the tables."""

    def __init__(self, connections: Connections, queues: Queues, clock: Clock) -> None:
        self._connections = connections
        self._queues = queues
        self._clock = clock

    def find(self, kind: Kind, queue: str, keys: Sequence[str]) -> Mapping[str, list[Message]]:
        """As `Browser.find`; keys of which there is no message are left out."""
        queue_id = self._queues.id(kind, queue)
        found: dict[str, list[Message]] = {}
        with self._connections.reading() as connection:
            for marks, chunk in _chunks(keys):
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM broker_messages WHERE queue_id = ? AND key IN ({marks})",  # noqa: S608 - question marks
                    (queue_id, *chunk),
                ).fetchall()
                for row in rows:
                    found.setdefault(row[1], []).append(_message(kind, queue, row))
        return found

    def browse(self, kind: Kind, queue: str, limit: int, after: tuple[int, str] | None) -> list[Message]:
        """As `Browser.browse`: what waits and what is in workers' hands, merged."""
        queue_id = self._queues.id(kind, queue)
        due_us, key = after or (_BEFORE_ALL_US, "")
        with self._connections.reading() as connection:
            rows = [
                row
                for state in ("< 0", "> 0")
                for row in connection.execute(
                    f"SELECT {_COLUMNS} FROM broker_messages WHERE queue_id = ? AND claim {state}"  # noqa: S608 - constants
                    " AND (due_us, key) > (?, ?) ORDER BY due_us, key LIMIT ?",
                    (queue_id, due_us, key, limit),
                ).fetchall()
            ]
        rows.sort(key=lambda row: (row[2], row[1]))
        return [_message(kind, queue, row) for row in rows[:limit]]

    def discard(self, kind: Kind, queue: str, copy_ids: Sequence[str]) -> int:
        """As `Browser.discard`."""
        queue_id = self._queues.id(kind, queue)
        with self._connections.writing() as connection:
            return discard(connection, queue_id, copy_ids)

    def depth(self, kind: Kind, queue: str) -> Depth:
        """As `Browser.depth`; the cost does not grow with what is stored."""
        queue_id, now_us = self._queues.id(kind, queue), self._clock.now_us()
        with self._connections.reading() as connection:
            row = connection.execute(_DEPTH, {"queue": queue_id, "now": now_us}).fetchone()
        ready, delayed, unacked, matured, unmatured, waiting_us, held_us = row
        change = matured - unmatured
        dues_us = [due_us for due_us in (waiting_us, held_us) if due_us is not None]
        if abs(change) > _COUNTED_ANEW:
            self._remember_ready(queue_id, now_us)
        return Depth(ready + change, delayed - change, unacked, min(dues_us, default=None))

    def _remember_ready(self, queue_id: int, now_us: int) -> None:
        """Spare the next call the counting of what this one counted; not worth waiting for."""
        with suppress(TransientError), self._connections.writing(_COUNTING_WAIT_S) as connection:
            counters.count_until(connection, queue_id, now_us)

    def stored_bytes(self) -> int:
        """Bytes of all stored payloads, dead letters' included; reads every message's row, though not its payload."""
        with self._connections.reading() as connection:
            (total,) = connection.execute("SELECT coalesce(sum(length(body)), 0) FROM broker_messages").fetchone()
        return int(total)

    def purge(self, kind: Kind, queue: str) -> int:
        """As `Browser.purge`; in several transactions, so that nobody waits long for it."""
        queue_id = self._queues.id(kind, queue)
        with self._connections.reading() as connection:
            (newest,) = connection.execute("SELECT max(seq) FROM broker_messages").fetchone()
        removed = 0
        while newest is not None:
            with self._connections.writing() as connection:
                dues_us = connection.execute(
                    "DELETE FROM broker_messages WHERE seq IN (SELECT seq FROM broker_messages"
                    " WHERE queue_id = ? AND claim < 0 AND seq <= ? LIMIT ?) RETURNING due_us",
                    (queue_id, newest, _PURGED_AT_ONCE),
                ).fetchall()
                counters.add_waiting(connection, queue_id, (due_us for (due_us,) in dues_us), -1, 0)
            removed += len(dues_us)
            if len(dues_us) < _PURGED_AT_ONCE:
                break
        return removed


def discard(connection: sqlite3.Connection, queue_id: int, copy_ids: Sequence[str]) -> int:
    """Remove messages by copy_id, within a transaction; how many there were."""
    rows: list[tuple[int, int]] = []
    for marks, chunk in _chunks(copy_ids):
        rows += connection.execute(
            f"DELETE FROM broker_messages WHERE queue_id = ? AND copy_id IN ({marks})"  # noqa: S608 - question marks
            " RETURNING due_us, claim",
            (queue_id, *chunk),
        ).fetchall()
    waiting = [due_us for due_us, claim in rows if claim < 0]
    if rows:
        counters.add_waiting(connection, queue_id, waiting, -1, len(waiting) - len(rows))
    return len(rows)


def _chunks(values: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The values in lists of a few fixed lengths (the last value repeated), with a ``?`` for each."""
    start = 0
    while start < len(values):
        left = len(values) - start
        size = next((size for size in _CHUNKS if size >= left), _CHUNKS[-1])
        chunk = list(values[start : start + size])
        chunk += chunk[-1:] * (size - len(chunk))
        yield ",".join("?" * size), chunk
        start += size


def _message(kind: Kind, queue: str, row: tuple[str, str, int, str, bytes]) -> Message:
    copy_id, key, due_us, meta, body = row
    return Message(copy_id, kind, queue, key, due_us, meta, body)
