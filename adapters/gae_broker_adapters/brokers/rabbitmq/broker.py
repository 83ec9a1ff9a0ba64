"""The RabbitMQ adapter: publishing, pulling and consuming, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gae_broker.domain.broker_options import BrokerOptions, Declaring, Delays
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Check, Clock, Delivery, Depth, Needs, Plan, Sink, Subscription
from gae_broker_adapters import forks
from gae_broker_adapters.brokers.rabbitmq import topology
from gae_broker_adapters.brokers.rabbitmq.operating import checking, declaring, definitions, planning, plugin
from gae_broker_adapters.brokers.rabbitmq.operating.management import Management, ManagementError
from gae_broker_adapters.brokers.rabbitmq.publishing.publisher import ConfirmedPublisher
from gae_broker_adapters.brokers.rabbitmq.receiving.consumer import QueueConsumer
from gae_broker_adapters.brokers.rabbitmq.receiving.puller import BatchPuller
from gae_broker_adapters.brokers.rabbitmq.wire import location
from gae_broker_adapters.brokers.rabbitmq.wire.envelope import Delayed

_GET_DEADLINE_S = 10.0


class RabbitBroker:
    """`Broker` on RabbitMQ 3.10 or later.

    Args:
        url: see `location`.
        clock: decides how long a message waits in the wheel.
        options: what is set beside the URL.
    """

    sees_all = False

    def __init__(self, url: str, *, clock: Clock, options: BrokerOptions) -> None:
        self._location = location.parse(url)
        self._clock = clock
        self._options = options
        self._management = Management(options.management, self._location)
        self._names = topology.Names(options.prefix)
        self._plugin = options.delays is Delays.PLUGIN
        self._known: dict[str, Kind] = {}
        self._inherited: list[object] = []
        self._connect()
        forks.watch(self)

    def _connect(self) -> None:
        self._publisher = ConfirmedPublisher(self._location, self._route)
        self._puller = BatchPuller(self._location, self._names, self.publish, _GET_DEADLINE_S)
        self._consumer = QueueConsumer(self._location, self._names, self.publish)

    def before_fork(self) -> bool:
        """As `forks.Forkable.before_fork`; a parent's connections go on undisturbed."""
        return False

    def after_in_parent(self) -> None:
        """As `forks.Forkable.after_in_parent`."""

    def after_in_child(self) -> None:
        """A forked child opens connections of its own, and neither uses nor closes its parent's.

        They are kept unused: pika would say goodbye on them, or shut them down, in the parent's name, and whatever
        locks the parent's other threads held stay held in the child.
        """
        self._inherited += (self._publisher, self._puller, self._consumer)
        self._connect()

    def _features(self, version: str) -> topology.Features:
        """What the server allows and the operator wants.

        Raises:
            ConfigurationError: the operator wants a plugin that the server cannot have.
        """
        if self._plugin:
            plugin.require(version, self._management)
        return topology.Features.of(version, plugin=self._plugin)

    def _route(self, message: Message) -> tuple[str, str]:
        if self._plugin and isinstance(message, Delayed):
            return self._names.delayed, f"{message.kind}.{message.queue}"
        return topology.route(self._names, message.kind, message.queue, message.due_us, self._clock.now_us())

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """As `Publisher.publish`."""
        if self._plugin:
            now_us = self._clock.now_us()
            messages = [plugin.delayed(message, now_us) for message in messages]
        return self._publisher.publish(messages, deadline_s)

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """As `Puller.get`."""
        return self._puller.get(kind, queue, limit)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""
        self._puller.ack(deliveries)

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""
        self._puller.restore(deliveries)

    def subscribe(self, queue: str, sink: Sink) -> Subscription:
        """As `Consumer.subscribe`."""
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
            return Depth(declaring.ready(channel, self._names.queue(kind, queue)), None, None, None)

    def purge(self, kind: Kind, queue: str) -> int:
        """As `Browser.purge`; what waits in the wheel is dropped when it comes out."""
        with declaring.channel(self._location) as channel:
            return declaring.purge(channel, self._names.queue(kind, queue))

    def declare(self, queues: Iterable[Queue]) -> None:
        """As `Declarer.declare`."""
        pairs = _pairs(queues)
        with declaring.channel(self._location) as channel:
            features = self._features(declaring.server_version(channel))
            shared = topology.shared(self._names, features)
            own = topology.of_queues(self._names, pairs, features)
            if self._options.declaring is Declaring.VERIFY:
                declaring.verify(channel, shared + own)
            else:
                declaring.declare(channel, shared, own, self._names.seal)
        self._known |= {name: kind for kind, name in pairs}

    def plan(self, queues: Iterable[Queue]) -> Plan:
        """As `Declarer.plan`; without the management API only exchanges and queues are compared."""
        with declaring.channel(self._location) as channel:
            features = self._features(declaring.server_version(channel))
            return planning.plan(channel, self._management, self._names, _pairs(queues), features)

    def remove(self, queue: str, *, force: bool = False) -> int:
        """As `Declarer.remove`; a consumer counts as a message, as it may hold one."""
        with declaring.channel(self._location) as channel:
            held = planning.remove(channel, self._names, queue, force=force)
        if force or not held:
            self._known.pop(queue, None)
        return held

    def known_queues(self) -> Mapping[str, Kind]:
        """As `Declarer.known_queues`: from the management API, else those that this process declared."""
        try:
            names = [str(one["name"]) for one in self._management.listing("queues", disable_stats="true")]
        except ManagementError:
            return dict(self._known)
        return planning.known(self._names, names)

    def stored_bytes(self) -> int | None:
        """Bytes of all payloads in our queues, as of the latest seconds; ``None`` without the management API."""
        try:
            return planning.stored_bytes(self._names, self._management)
        except ManagementError:
            return None

    def definitions(self, queues: Iterable[Queue], version: str) -> Mapping[str, object]:
        """A definitions file for a server of this version; asks no server."""
        whole = topology.whole(self._names, _pairs(queues), topology.Features.of(version, plugin=self._plugin))
        return definitions.definitions(whole, self._location.virtual_host)

    def check(self, needs: Needs) -> list[Check]:
        """Connection, version, topology, permissions, policies, what lies in the wrong places, alarms."""
        return checking.check(self._location, self._management, self._names, needs, plugged=self._plugin)

    def close(self) -> None:
        """As `Broker.close`."""
        self._consumer.close()
        self._puller.close()
        self._publisher.close()  # the last: the others put back by publishing what they hold


def _pairs(queues: Iterable[Queue]) -> list[tuple[Kind, str]]:
    return [(Kind.PULL if queue.mode is Mode.PULL else Kind.PUSH, queue.name) for queue in queues]


def open_broker(url: str, *, clock: Clock, options: BrokerOptions | None = None) -> RabbitBroker:
    """Open a broker by its ``amqp://`` or ``amqps://`` URL."""
    return RabbitBroker(url, clock=clock, options=options or BrokerOptions())
