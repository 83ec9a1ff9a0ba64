"""What the engine needs of a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.ports.world import Check


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in a worker's hands, until it is acked or returned.

    Attributes:
        message: what was published.
        delivery_count: how often it was delivered before and came back because its receiver vanished.
        receipt: the adapter's own, to ack or return it by.
    """

    message: Message
    delivery_count: int
    receipt: object


@dataclass(frozen=True, slots=True)
class Depth:
    """What a queue holds: ``ready`` and due, ``delayed`` (parked leases included), ``unacked`` in workers' hands.

    ``delayed`` and ``unacked`` are ``None`` where the broker cannot count them. ``oldest_due_us`` is the smallest due
    time of all, ``None`` where the queue is empty or it cannot be known.
    """

    ready: int
    delayed: int | None
    unacked: int | None
    oldest_due_us: int | None


class Publisher(Protocol):
    """Puts messages into queues."""

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """Publish a batch and wait until the broker has taken charge of each message.

        1. ``None`` at a message's place means it is stored durably: it survives kill -9 of every process here.
        2. An exception at its place means it is not known to be stored: `UnknownQueueError` (no such queue),
           `PublishRejectedError`, `PermissionDeniedError`, `ConfigurationError` or `InvalidTaskError` (of this
           message alone): not stored; `BrokerUnavailableError`, `BrokerBlockedError` or `ConfirmTimeoutError`: it
           may be stored. The others of the batch are not affected.
        3. It returns within ``deadline_s`` plus a second, whatever happens to the broker.
        4. Publishing the same copy_id again may store a second copy, or replace the first.
        5. A message is not delivered before its ``due_us``.
        """


class Puller(Protocol):
    """Takes messages out of queues one batch at a time; any number of processes may."""

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """Take up to ``limit`` messages that are due, without waiting for any, smallest (due, key) first.

        1. A message is in one receiver's hands at a time, until it is acked or returned.
        2. If the receiver's process ends first, it comes back, with ``delivery_count`` one higher.
        3. `UnknownQueueError` where there is no such queue.
        """

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Remove delivered messages for good. Acking one that came back or is gone already does nothing."""

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """Return messages undone, to their place where the broker can; ``delivery_count`` does not rise.

        Restoring what was acked or came back does nothing.

        Raises:
            TransientError: some are still held; restore them again.
        """


class Subscription(Protocol):
    """One consumer of one push queue.

    Attributes:
        ack_waits: whether `ack` waits for the broker or its storage; where it does not, a loop may call it.
    """

    ack_waits: bool

    def demand(self, count: int) -> None:
        """Be ready for ``count`` deliveries from now on, in place of what was asked before.

        1. Each delivery lowers it by one; at zero nothing more is delivered until the next call, and what was taken
           for a demand that does not come is back in the queue within seconds.
        2. Messages come in batches as large as what is due, as soon as they are due.
        """

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""

    def close(self) -> None:
        """Stop delivering; what is unacked comes back uncounted, another subscription takes over. Idempotent."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a subscription's events go; called from the adapter's thread, so each must return at once.

    Attributes:
        deliver: a batch of messages.
        owned: this subscription became the queue's active one (``True``), or ceased to be (``False``).
        lost: the subscription ended by itself; what is unacked comes back, nothing more will be called.
    """

    deliver: Callable[[list[Delivery]], None]
    owned: Callable[[bool], None]
    lost: Callable[[Exception], None]


class Consumer(Protocol):
    """Delivers push queues to one active consumer at a time."""

    def subscribe(self, queue: str, sink: Sink) -> Subscription:
        """Take part in consuming a push queue.

        1. Of all subscriptions to a queue, in all processes, one is active; the others wait and one of them
           takes over within 15 seconds when the active one's process ends, and soon when it is closed.
        2. An active subscription that its process kept from working so long that another took over learns of
           it by ``owned(False)``; what it holds comes back elsewhere.
        """


class Browser(Protocol):
    """Looks into queues without taking anything; what a broker cannot know it says by its return value.

    Attributes:
        sees_all: whether `find`, `browse` and `depth` tell of every message, and `discard` removes it. Where not, the
            engine lets the ledger keep and count what waits, which costs a little.
    """

    @property
    def sees_all(self) -> bool:
        """See above; it never changes."""

    def find(self, kind: Kind, queue: str, keys: Sequence[str]) -> Mapping[str, list[Message]] | None:
        """The stored messages of these keys, those in workers' hands included; ``None``: cannot be looked up.

        Keys of which there is no message are left out.
        """

    def browse(self, kind: Kind, queue: str, limit: int, after: tuple[int, str] | None) -> list[Message] | None:
        """Up to ``limit`` messages in (due, key) order behind ``after``; ``None``: cannot be listed."""

    def discard(self, kind: Kind, queue: str, copy_ids: Sequence[str]) -> int:
        """Remove these messages where the broker can, in whosever hands they are; how many it removed."""

    def depth(self, kind: Kind, queue: str) -> Depth:
        """How much the queue holds. `UnknownQueueError` where there is no such queue."""

    def purge(self, kind: Kind, queue: str) -> int:
        """Remove what can be removed of what is not in a worker's hands; how many it removed."""


class Action(StrEnum):
    """What a deployment has to do about an object of the broker."""

    CREATE = "create"
    """It is missing, `Declarer.declare` makes it."""
    CONFLICT = "conflict"
    """It is there, otherwise than `Declarer.declare` would make it, and stays so."""
    UNUSED = "unused"
    """It belongs to a queue that is not wanted; it stays until `Declarer.remove`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between what is wanted and what a broker has.

    Attributes:
        what: the broker's word for the object: ``queue``, ``exchange``, ``binding``.
        name: the broker's name for it.
        queue: the App Engine queue it belongs to; empty for what all queues share.
        text: what more there is to say.
        tasks: of `Action.UNUSED`, how many tasks it is known to hold, dead letters included.
    """

    action: Action
    what: str
    name: str
    queue: str = ""
    text: str = ""
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The differences, and (``unseen``) what could not be compared and why, a sentence each."""

    changes: tuple[Change, ...] = ()
    unseen: tuple[str, ...] = ()


class Declarer(Protocol):
    """Makes queues exist."""

    def declare(self, queues: Iterable[Queue]) -> None:
        """Make sure that these queues exist; idempotent, removes nothing, keeps every task."""

    def plan(self, queues: Iterable[Queue]) -> Plan:
        """What differs between these queues and what is there; changes nothing.

        1. What `declare` would make is `Action.CREATE`; after it nothing is.
        2. A queue that exists and is not among these is `Action.UNUSED`, where the broker can list its queues.
        """

    def remove(self, queue: str, *, force: bool = False) -> int:
        """Remove a queue of either kind and its dead letters for good; idempotent.

        Returns:
            How many messages it held. Where that is not 0 and ``force`` was not given, nothing was removed, and
            no message was lost.
        """

    def known_queues(self) -> Mapping[str, Kind]:
        """The queues that exist in the broker, configured now or not; where it cannot list them, those declared."""


@runtime_checkable
class Exporter(Protocol):
    """A broker whose objects an administrator can import."""

    def definitions(self, queues: Iterable[Queue], version: str) -> Mapping[str, object]:
        """What a server of this version (``4.3``) imports to have these queues; asks no server."""


class Role(StrEnum):
    """What a process does with the queues; its user's permissions follow from it."""

    PRODUCER = "producer"
    """Adds tasks."""
    WORKER = "worker"
    """Dispatches and leases them, and adds."""
    ADMINISTRATOR = "administrator"
    """Deploys queues."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a broker is checked against.

    Attributes:
        queues: those that must be there.
        longest_deadline_s: the longest time that a handler may take.
        role: what the user must be allowed to do; ``None``: only tell what it may.
    """

    queues: Sequence[Queue] = ()
    longest_deadline_s: float = 0.0
    role: Role | None = None


class Broker(Publisher, Puller, Consumer, Browser, Declarer, Protocol):
    """All that the engine needs of a broker; an adapter class implements it."""

    def check(self, needs: Needs) -> list[Check]:
        """Look at the broker's health, and whether it is fit for these needs; never raises for what it finds."""

    def close(self) -> None:
        """Release everything; unacked messages come back uncounted. Idempotent."""
