"""The RabbitMQ adapter: publishing, pulling and consuming, each on a connection of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from gae_broker.domain.broker_options import BrokerOptions, Declaring
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import Error
from gae_broker.ports import Check, CheckStatus, Clock, Delivery, Depth, Sink, Subscription
from gae_broker_adapters.brokers.rabbitmq import declaring, location, topology
from gae_broker_adapters.brokers.rabbitmq.consuming import QueueConsumer
from gae_broker_adapters.brokers.rabbitmq.publishing import ConfirmedPublisher
from gae_broker_adapters.brokers.rabbitmq.pulling import BatchPuller

_GET_DEADLINE_S = 10.0


class RabbitBroker:
    """`Broker` on RabbitMQ 3.10 or later.

    Args:
        url: see `location`.
        clock: decides how long a message waits in the wheel.
        options: what is set beside the URL.
    """

    def __init__(self, url: str, *, clock: Clock, options: BrokerOptions) -> None:
        self._location = location.parse(url)
        self._clock = clock
        self._options = options
        self._names = topology.Names(options.prefix)
        self._known: dict[str, Kind] = {}
        self._connect()

    def _connect(self) -> None:
        self._pid = os.getpid()
        self._publisher = ConfirmedPublisher(self._location, self._route)
        self._puller = BatchPuller(self._location, self._names, _GET_DEADLINE_S)
        self._consumer = QueueConsumer(self._location, self._names)

    def _reconnect_after_fork(self) -> None:
        """A forked child never uses its parent's connections."""
        if self._pid != os.getpid():
            self._connect()

    def _route(self, message: Message) -> tuple[str, str]:
        return topology.route(self._names, message.kind, message.queue, message.due_us, self._clock.now_us())

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """As `Publisher.publish`."""
        self._reconnect_after_fork()
        return self._publisher.publish(messages, deadline_s)

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """As `Puller.get`."""
        self._reconnect_after_fork()
        return self._puller.get(kind, queue, limit)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""
        self._reconnect_after_fork()
        self._puller.ack(deliveries)

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""
        self._reconnect_after_fork()
        self._puller.restore(deliveries)

    def subscribe(self, queue: str, sink: Sink) -> Subscription:
        """As `Consumer.subscribe`."""
        self._reconnect_after_fork()
        return self._consumer.subscribe(queue, sink)

    def find(self, kind: Kind, queue: str, keys: Sequence[str]) -> None:
        """RabbitMQ cannot look a message up."""

    def browse(self, kind: Kind, queue: str, limit: int, after: tuple[int, str] | None) -> None:
        """RabbitMQ cannot list messages without taking them."""

    def discard(self, kind: Kind, queue: str, copy_ids: Sequence[str]) -> int:  # noqa: ARG002 - the port's signature
        """RabbitMQ cannot remove single messages: they are dropped when they are delivered."""
        return 0

    def depth(self, kind: Kind, queue: str) -> Depth:
        """As `Browser.depth`; only what is ready can be counted."""
        with declaring.channel(self._location) as channel:
            return Depth(declaring.ready(channel, self._names.queue(kind, queue)), 0, 0, None)

    def purge(self, kind: Kind, queue: str) -> int:
        """As `Browser.purge`; what waits in the wheel is dropped when it comes out."""
        with declaring.channel(self._location) as channel:
            return declaring.purge(channel, self._names.queue(kind, queue))

    def declare(self, queues: Iterable[Queue]) -> None:
        """As `Declarer.declare`."""
        wanted = {queue.name: Kind.PULL if queue.mode is Mode.PULL else Kind.PUSH for queue in queues}
        with declaring.channel(self._location) as channel:
            features = topology.Features.of(declaring.server_version(channel))
            shared = topology.shared(self._names)
            own = topology.of_queues(self._names, [(kind, name) for name, kind in wanted.items()], features)
            if self._options.declaring is Declaring.VERIFY:
                declaring.verify(channel, shared + own)
            else:
                declaring.declare(channel, shared, own, self._names.seal)
        self._known |= wanted

    def known_queues(self) -> Mapping[str, Kind]:
        """As `Declarer.known_queues`: those that this process declared."""
        return dict(self._known)

    def check(self) -> list[Check]:
        """Connection and version."""
        try:
            with declaring.channel(self._location) as channel:
                version = declaring.server_version(channel)
        except Error as exc:
            return [Check("broker", CheckStatus.FAILED, str(exc))]
        return [Check("broker", CheckStatus.OK, f"RabbitMQ {version} at {self._location}")]

    def close(self) -> None:
        """As `Broker.close`."""
        if self._pid == os.getpid():
            self._publisher.close()
            self._puller.close()
            self._consumer.close()


def open_broker(url: str, *, clock: Clock, options: BrokerOptions | None = None) -> RabbitBroker:
    """Open a broker by its ``amqp://`` or ``amqps://`` URL."""
    return RabbitBroker(url, clock=clock, options=options or BrokerOptions())
