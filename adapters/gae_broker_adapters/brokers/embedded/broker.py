"""A broker in a SQLite file: no server, several processes, durable across kill -9 and power failure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gae_broker.domain.broker_options import BrokerOptions
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Check, Clock, Delivery, Depth, Needs, Plan, Sink, Subscription
from gae_broker_adapters import forks
from gae_broker_adapters.brokers.embedded import health, schema
from gae_broker_adapters.brokers.embedded.browsing import Browsing
from gae_broker_adapters.brokers.embedded.claiming import Claiming
from gae_broker_adapters.brokers.embedded.connections import Connections
from gae_broker_adapters.brokers.embedded.location import path_of
from gae_broker_adapters.brokers.embedded.planning import Planning
from gae_broker_adapters.brokers.embedded.publishing import Publishing
from gae_broker_adapters.brokers.embedded.pump import Pump
from gae_broker_adapters.brokers.embedded.queues import Queues
from gae_broker_adapters.brokers.embedded.receiver import Receiver

_FORK_WAIT_S = 5.0


class _Parts:
    """What one broker object consists of in one process; a forked child builds its own."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self.pid = os.getpid()
        self.connections = Connections(path)
        self.queues = Queues(self.connections)
        self.receiver = Receiver()
        self.publishing = Publishing(self.connections, self.queues)
        self.claiming = Claiming(self.connections, self.queues, self.receiver, clock)
        self.browsing = Browsing(self.connections, self.queues, clock)
        self.planning = Planning(self.connections, self.queues)
        self.pump = Pump(self.connections, self.claiming, self.receiver, clock)


class EmbeddedBroker:
    """`gae_broker.ports.Broker` over SQLite. See there for what each method promises.

    The clock given decides alone what is due, so with a clock that stands still nothing becomes due. A
    subscription reads it again every few milliseconds and so notices a virtual clock that was moved.
    """

    sees_all = True

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._assembled = _Parts(path, clock)
        self._closed = False
        try:
            schema.prepare(self._assembled.connections)
        except BaseException:
            self._assembled.connections.close()
            raise
        forks.watch(self)

    @property
    def _parts(self) -> _Parts:
        if self._assembled.pid != os.getpid():
            self.after_in_child()
        return self._assembled

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """Store messages, each batch in one transaction."""
        parts = self._parts
        outcomes, changed = parts.publishing.publish(messages, deadline_s)
        parts.pump.poke(changed)
        return outcomes

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """Take due messages; also brings back what dead receivers held."""
        parts = self._parts
        deliveries = parts.claiming.get(kind, queue, limit)
        if deliveries:
            parts.pump.start()
        return deliveries

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Remove delivered messages for good."""
        self._parts.claiming.ack(deliveries)

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """Return messages undone; ``delivery_count`` does not rise."""
        parts = self._parts
        parts.pump.poke(parts.claiming.restore(deliveries))

    def subscribe(self, queue: str, sink: Sink) -> Subscription:
        """Take part in consuming a push queue; one thread serves all subscriptions of this object."""
        parts = self._parts
        return parts.pump.subscribe(parts.queues.id(Kind.PUSH, queue), queue, sink)

    def find(self, kind: Kind, queue: str, keys: Sequence[str]) -> Mapping[str, list[Message]]:
        """The stored messages of these keys; keys without any are left out."""
        return self._parts.browsing.find(kind, queue, keys)

    def browse(self, kind: Kind, queue: str, limit: int, after: tuple[int, str] | None) -> list[Message]:
        """Messages in (due, key) order."""
        return self._parts.browsing.browse(kind, queue, limit, after)

    def discard(self, kind: Kind, queue: str, copy_ids: Sequence[str]) -> int:
        """Remove messages, in whosever hands they are."""
        return self._parts.browsing.discard(kind, queue, copy_ids)

    def depth(self, kind: Kind, queue: str) -> Depth:
        """How much the queue holds, from counters."""
        return self._parts.browsing.depth(kind, queue)

    def stored_bytes(self) -> int:
        """Bytes of all stored payloads; lets queue.yaml's ``total_storage_limit`` be kept."""
        return self._parts.browsing.stored_bytes()

    def purge(self, kind: Kind, queue: str) -> int:
        """Remove all that waits."""
        return self._parts.browsing.purge(kind, queue)

    def declare(self, queues: Iterable[Queue]) -> None:
        """Make queues exist, each with its dead letters."""
        self._parts.queues.declare(queues)

    def plan(self, queues: Iterable[Queue]) -> Plan:
        """What `declare` would make, and which queues are not among these."""
        return self._parts.planning.plan(queues)

    def remove(self, queue: str, *, force: bool = False) -> int:
        """Remove a queue's messages, and stop listing it; all of it in one transaction, so that none is lost."""
        return self._parts.planning.remove(queue, force=force)

    def known_queues(self) -> Mapping[str, Kind]:
        """The queues that exist in the file."""
        return self._parts.queues.known()

    def check(self, needs: Needs) -> list[Check]:  # noqa: ARG002 - queues are made where they are missing
        """Whether the file can be read and written, how large it is, and what room its disk has."""
        parts = self._parts
        return health.check(parts.connections)

    def close(self) -> None:
        """Give back what is unacked, and release the file."""
        parts = self._parts
        if self._closed:
            return
        self._closed = True
        parts.pump.close()
        parts.connections.close()

    # ------------------------------------------------------------------------------------------ fork

    def before_fork(self) -> bool:
        """Close the file, with no transaction under way; it is opened again when needed."""
        return self._assembled.connections.hold_still(_FORK_WAIT_S)

    def after_in_parent(self) -> None:
        """Let transactions begin again."""
        self._assembled.connections.go_on()

    def after_in_child(self) -> None:
        """Start over with nothing of the parent's; what the parent holds stays the parent's."""
        if self._path is None:
            return
        self._assembled.connections.abandon()
        self._assembled = _Parts(self._path, self._clock)


def open_broker(url: str, *, clock: Clock, options: BrokerOptions | None = None) -> EmbeddedBroker:  # noqa: ARG001
    """Open the broker at ``embedded:///relative.db``, ``embedded:////absolute.db`` or (in memory) ``embedded://``.

    Raises:
        SettingsError: the url is not of these forms.
        ConfigurationError: the directory is missing, or file or directory may not be written.
        StorageError: the file is damaged, no SQLite database, or made by a newer release.
    """
    return EmbeddedBroker(path_of(url), clock)
