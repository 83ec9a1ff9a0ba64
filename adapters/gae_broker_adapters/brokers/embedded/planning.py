"""What a deployment would change in the file, and removing queues that are wanted no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Action, Change, Plan
from gae_broker_adapters.brokers.embedded.connections import Connections
from gae_broker_adapters.brokers.embedded.queues import Queues

_HELD = "SELECT coalesce(sum(ready + delayed + unacked), 0) FROM broker_queues WHERE name = ?"
_OF_QUEUE = "queue_id IN (SELECT id FROM broker_queues WHERE name = ?)"


class Planning:
    """`plan` and `remove` of `gae_broker.ports.Declarer` over the tables."""

    def __init__(self, connections: Connections, queues: Queues) -> None:
        self._connections = connections
        self._queues = queues

    def plan(self, queues: Iterable[Queue]) -> Plan:
        """As `Declarer.plan`."""
        wanted = {queue.name: Kind.PULL if queue.mode is Mode.PULL else Kind.PUSH for queue in queues}
        known = self._queues.known()
        changes = []
        for name, kind in wanted.items():
            if name not in known:
                changes.append(Change(Action.CREATE, "queue", name, name, f"a {kind} queue"))
            elif known[name] is not kind:
                text = f"as a {kind} queue, it is a {known[name]} queue now; its tasks are kept"
                changes.append(Change(Action.CREATE, "queue", name, name, text))
        with self._connections.reading() as connection:
            for name, kind in known.items():
                if name not in wanted:
                    text = f"a {kind} queue"
                    changes.append(Change(Action.UNUSED, "queue", name, name, text, _held(connection, name)))
        return Plan(tuple(changes))

    def remove(self, queue: str, *, force: bool) -> int:
        """As `Declarer.remove`: its rows stay, as others may know them by number, but are listed no more."""
        with self._connections.writing() as connection:
            held = _held(connection, queue)
            if held and not force:
                return held
            connection.execute(f"DELETE FROM broker_messages WHERE {_OF_QUEUE}", (queue,))  # noqa: S608 - a constant
            connection.execute(
                "UPDATE broker_queues SET current = 0, ready = 0, delayed = 0, unacked = 0 WHERE name = ?",
                (queue,),
            )
        return held


def _held(connection: sqlite3.Connection, queue: str) -> int:
    (count,) = connection.execute(_HELD, (queue,)).fetchone()
    return int(count)
