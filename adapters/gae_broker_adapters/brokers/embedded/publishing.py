"""Storing messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gae_broker.domain.message import Message
from gae_broker.errors import Error, PublishRejectedError
from gae_broker_adapters.brokers.embedded import queues as counters
from gae_broker_adapters.brokers.embedded.browsing import discard
from gae_broker_adapters.brokers.embedded.connections import Connections
from gae_broker_adapters.brokers.embedded.queues import Queues

_INSERT = "INSERT INTO broker_messages (queue_id, due_us, key, copy_id, meta, body) VALUES (?, ?, ?, ?, ?, ?)"
_Row = tuple[int, int, str, str, str, bytes]
# What sqlite3 raises for one message's own fault: a copy_id stored already, text that is no UTF-8, a due time
# beyond 64 bits.
_OWN_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, ValueError, OverflowError)


class Publishing:
    """Stores batches of messages, each batch in one transaction."""

    def __init__(self, connections: Connections, queues: Queues) -> None:
        self._connections = connections
        self._queues = queues

    def publish(self, messages: Sequence[Message], deadline_s: float) -> tuple[list[Exception | None], set[int]]:
        """As `Publisher.publish`; also the numbers of the queues that got something."""
        outcomes: list[Exception | None] = [None] * len(messages)
        rows: dict[int, _Row] = {}
        for place, message in enumerate(messages):
            try:
                queue_id = self._queues.id(message.kind, message.queue)
            except Error as exc:
                outcomes[place] = exc
            else:
                rows[place] = (
                    queue_id,
                    message.due_us,
                    message.key,
                    message.copy_id,
                    message.meta,
                    message.body,
                )
        if not rows:
            return outcomes, set()
        try:
            self._store(rows, deadline_s, outcomes)
        except Error as exc:
            for place in rows:
                outcomes[place] = exc
            return outcomes, set()
        return outcomes, {row[0] for place, row in rows.items() if outcomes[place] is None}

    def _store(self, rows: dict[int, _Row], deadline_s: float, outcomes: list[Exception | None]) -> None:
        try:
            with self._connections.writing(deadline_s, durable=True) as connection:
                try:
                    _insert_all(connection, list(rows.values()))
                except _OWN_FAULTS as exc:
                    raise _OneByOneError from exc
        except _OneByOneError:
            with self._connections.writing(deadline_s, durable=True) as connection:
                for place, row in rows.items():
                    outcomes[place] = _replace(connection, row)


class _OneByOneError(Exception):
    """A message of the batch has a fault of its own; the others must not suffer for it."""


def _insert_all(connection: sqlite3.Connection, rows: list[_Row]) -> None:
    connection.executemany(_INSERT, rows)
    by_queue: dict[int, list[int]] = {}
    for row in rows:
        by_queue.setdefault(row[0], []).append(row[1])
    for queue_id, dues_us in by_queue.items():
        counters.add_waiting(connection, queue_id, dues_us, 1, 0)


def _replace(connection: sqlite3.Connection, row: _Row) -> Exception | None:
    """Store one message, in place of an earlier one of its copy_id."""
    connection.execute("SAVEPOINT one")
    try:
        discard(connection, row[0], [row[3]])
        _insert_all(connection, [row])
    except _OWN_FAULTS as exc:
        connection.execute("ROLLBACK TO one")
        return PublishRejectedError(f"task {row[2]!r} cannot be stored: {exc}")
    finally:
        connection.execute("RELEASE one")
    return None
