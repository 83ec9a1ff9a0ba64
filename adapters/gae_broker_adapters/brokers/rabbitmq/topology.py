"""Every object on the broker, and the way a message takes through them; pure.

The delayed exchange is a radix-16 wheel of quorum queues (design section 3). A delay is written as seven hexadecimal
digits of 100 ms; the message enters at its highest digit that is not zero, waits ``digit * 16**level`` units in that
queue, and is dead-lettered to the next lower level. All messages of one delay queue have the same time to live, so
the head of the queue is always the next to expire. Names carry the version, because arguments are immutable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gae_broker.domain.task import Kind
from gae_broker_adapters.brokers.rabbitmq.wire import versions

UNIT_US = 100_000
RADIX = 16
_BITS = 4
"""Of a digit, which is a hexadecimal one: ``RADIX`` is ``2**_BITS``."""
LEVELS = 7
"""16**7 units are 310 days; a task's eta is at most 30 days ahead, and a retry or a lease less."""
MAX_UNITS = RADIX**LEVELS - 1
DELIVERY_LIMIT = 1_000_000_000
"""In effect none: retries and their limits are the engine's; without a limit 4.x would set one of 20."""
CONSUMER_TIMEOUT_MS = 25 * 3600 * 1000
"""Above the longest dispatch deadline, 24 hours."""
DISCONNECTED_TIMEOUT_MS = 5000
"""How long what a consumer held waits for it when its node is down, from 4.3; RabbitMQ's own value is 60 s."""
_QUORUM: dict[str, str | int | bool] = {"x-queue-type": "quorum"}
_KEPT: dict[str, str | int | bool] = {**_QUORUM, "x-delivery-limit": DELIVERY_LIMIT}
"""Of queues that operators look into: without the limit, 4.0 drops what was looked at 20 times."""
_SAFE_DEAD_LETTERS = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}

Arguments = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange to declare; always durable."""

    name: str
    type: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokerQueue:
    """A queue to declare; always durable."""

    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding to declare, to a queue or (``to_exchange``) to an exchange."""

    source: str
    destination: str
    key: str
    to_exchange: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """A set of objects, in an order in which they can be declared."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[BrokerQueue, ...]
    bindings: tuple[Binding, ...]

    def __add__(self, other: Topology) -> Topology:
        return Topology(
            self.exchanges + other.exchanges,
            self.queues + other.queues,
            self.bindings + other.bindings,
        )

    def names(self) -> list[str]:
        """The names of its exchanges and queues."""
        return [*(one.name for one in self.exchanges), *(one.name for one in self.queues)]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all objects under one prefix."""

    prefix: str = "gaetq"

    def exchange(self, kind: Kind) -> str:
        """The exchange for messages that are due at once."""
        return f"{self.prefix}.{kind}"

    def queue(self, kind: Kind, queue: str) -> str:
        """The queue of one App Engine queue, or (`Kind.DEAD`) of its exhausted tasks."""
        return f"{self.prefix}.{kind}.q.{queue}"

    def level(self, level: int) -> str:
        """The exchange through which a level of the wheel is entered."""
        return f"{self.prefix}.delay.v1.{level}"

    def delay(self, level: int, digit: int) -> str:
        """The queue in which a message waits ``digit * 16**level`` units."""
        return f"{self.prefix}.delay.v1.{level}.{digit:x}"

    @property
    def due(self) -> str:
        """The exchange at the end of the wheel."""
        return f"{self.prefix}.due.v1"

    def owner(self, queue: str) -> str:
        """The queue whose single active consumer is the dispatcher that owns a push queue."""
        return f"{self.prefix}.owner.{queue}"

    @property
    def seal(self) -> str:
        """The shared exchange that is declared last of all: where it is, what it stands for was complete once."""
        return self.exchange(Kind.PULL)

    @property
    def delayed(self) -> str:
        """The exchange of the x-delayed-message plugin, where it is used."""
        return f"{self.prefix}.delayed.v1"

    @property
    def orphan(self) -> str:
        """Exchange and queue of messages whose queue is gone."""
        return f"{self.prefix}.orphan"


@dataclass(frozen=True, slots=True)
class Features:
    """What the broker's version allows."""

    consumer_timeout: bool = True
    disconnected_timeout: bool = True
    plugin: bool = False
    """Whether delays go by the x-delayed-message plugin, because the operator says so."""

    @staticmethod
    def of(version: str, *, plugin: bool = False) -> Features:
        """The features of a server version (``3.10.8``)."""
        number = versions.parse(version)
        return Features(number >= (3, 12), number >= (4, 3), plugin)


def shared(names: Names, features: Features) -> Topology:
    """What all queues share: the exchanges, the wheel, and the place for orphans."""
    exchanges = [
        Exchange(names.orphan, "fanout"),
        Exchange(names.exchange(Kind.PUSH), "direct"),
        Exchange(names.exchange(Kind.PULL), "direct"),
        Exchange(names.exchange(Kind.DEAD), "direct"),
        # Without the alternate exchange one message that cannot be routed would, after 32 of its kind, stop the
        # level for every queue (dead_letter_worker_consumer_prefetch).
        Exchange(names.due, "topic", {"alternate-exchange": names.orphan}),
        *(Exchange(names.level(level), "topic") for level in range(LEVELS)),
    ]
    if features.plugin:
        exchanges.append(Exchange(names.delayed, "x-delayed-message", {"x-delayed-type": "topic"}))
    queues = [BrokerQueue(names.orphan, _KEPT)]
    bindings = [Binding(names.orphan, names.orphan, "")]
    for level in range(LEVELS):
        below = names.level(level - 1) if level else names.due
        bindings.append(Binding(names.level(level), below, _pattern(level, 0), to_exchange=True))
        for digit in range(1, RADIX):
            waits_ms = digit * RADIX**level * UNIT_US // 1000
            arguments = {
                **_QUORUM,
                **_SAFE_DEAD_LETTERS,
                "x-message-ttl": waits_ms,
                "x-dead-letter-exchange": below,
            }
            queues.append(BrokerQueue(names.delay(level, digit), arguments))
            bindings.append(Binding(names.level(level), names.delay(level, digit), _pattern(level, digit)))
    return Topology(tuple(exchanges), tuple(queues), tuple(bindings))


def of_queue(names: Names, kind: Kind, queue: str, features: Features) -> Topology:
    """What one App Engine queue needs."""
    arguments: dict[str, str | int | bool] = {
        **_QUORUM,
        **_SAFE_DEAD_LETTERS,
        "x-dead-letter-exchange": names.exchange(Kind.DEAD),
        "x-dead-letter-routing-key": queue,
        "x-delivery-limit": DELIVERY_LIMIT,
    }
    if kind is Kind.PUSH:
        arguments["x-single-active-consumer"] = True
    arguments |= _timeouts(features)
    name, dead = names.queue(kind, queue), names.queue(Kind.DEAD, queue)
    delayed = (Binding(names.delayed, name, f"{kind}.{queue}"),) if features.plugin else ()
    own = Topology(
        (),
        (BrokerQueue(dead, _KEPT), BrokerQueue(name, arguments)),
        (
            Binding(names.exchange(Kind.DEAD), dead, queue),
            Binding(names.exchange(kind), name, queue),
            # A fixed depth: '#' would also match names that end alike.
            Binding(names.due, name, ".".join(["*"] * LEVELS + [kind, queue])),
            *delayed,
        ),
    )
    return own + of_owner(names, queue, features) if kind is Kind.PUSH else own


def of_owner(names: Names, queue: str, features: Features) -> Topology:
    """Where dispatchers find out which of them owns a push queue; see `claiming`."""
    arguments: dict[str, str | int | bool] = {
        **_KEPT,
        **_timeouts(features),
        "x-single-active-consumer": True,
        "x-max-length": 1,
        "x-overflow": "drop-head",
    }
    name = names.owner(queue)
    return Topology((), (BrokerQueue(name, arguments),), (Binding(names.exchange(Kind.PUSH), name, owner_key(queue)),))


def owner_key(queue: str) -> str:
    """The key by which `Names.owner` is reached; no queue's name, as it has a dot."""
    return f"owner.{queue}"


def _timeouts(features: Features) -> dict[str, str | int | bool]:
    found: dict[str, str | int | bool] = {}
    if features.consumer_timeout:
        found["x-consumer-timeout"] = CONSUMER_TIMEOUT_MS
    if features.disconnected_timeout:
        found["x-consumer-disconnected-timeout"] = DISCONNECTED_TIMEOUT_MS
    return found


def of_queues(names: Names, queues: Iterable[tuple[Kind, str]], features: Features) -> Topology:
    """What a set of App Engine queues needs, beside what is shared."""
    topology = Topology((), (), ())
    for kind, queue in queues:
        topology += of_queue(names, kind, queue, features)
    return topology


def whole(names: Names, queues: Iterable[tuple[Kind, str]], features: Features) -> Topology:
    """Everything for a set of App Engine queues."""
    return shared(names, features) + of_queues(names, queues, features)


def route(names: Names, kind: Kind, queue: str, due_us: int, now_us: int) -> tuple[str, str]:
    """The exchange and the routing key of a message due at ``due_us``; the wait is rounded up, never down."""
    units = -((now_us - due_us) // UNIT_US)
    if kind is Kind.DEAD or units <= 0:
        return names.exchange(kind), queue
    units = min(units, MAX_UNITS)
    highest = (units.bit_length() - 1) // _BITS
    return names.level(highest), f"{'.'.join(f'{units:0{LEVELS}x}')}.{kind}.{queue}"


def _pattern(level: int, digit: int) -> str:
    """Matches every routing key with this digit at this level."""
    words = ["*"] * (LEVELS + 2)
    words[LEVELS - 1 - level] = f"{digit:x}"
    return ".".join(words)
