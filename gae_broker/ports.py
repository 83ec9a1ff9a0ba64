"""What the engine needs of the world, as Protocols with numbered obligations.

A broker adapter knows messages, a ledger adapter knows rows and compare-and-swap; neither knows App Engine.
All calls are synchronous and may come from any thread at the same time. Times are integer microseconds since
the epoch (``_us``), durations for waiting are float seconds (``_s``). Every failure of the world surfaces as an
exception of `gae_broker.errors`; a driver's exception never leaves an adapter.

The contract suites in ``gae_broker.testing.contracts`` test each obligation against every adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind


class Clock(Protocol):
    """Where the engine's time comes from."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""


# ---------------------------------------------------------------------------------------------- broker


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

    ``oldest_due_us`` is the smallest due time of all, ``None`` where the queue is empty or it cannot be known.
    """

    ready: int
    delayed: int
    unacked: int
    oldest_due_us: int | None


class Publisher(Protocol):
    """Puts messages into queues."""

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """Publish a batch and wait until the broker has taken charge of each message.

        1. ``None`` at a message's place means it is stored durably: it survives kill -9 of every process here.
        2. An exception at its place means it is not known to be stored: `UnknownQueueError` (no such queue: not
           stored), `PublishRejectedError` (refused: not stored), `BrokerUnavailableError`, `BrokerBlockedError`
           or `ConfirmTimeoutError` (it may be stored). The others of the batch are not affected.
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
        """Return messages undone, to their place; ``delivery_count`` does not rise where the broker can help it."""


class Subscription(Protocol):
    """One consumer of one push queue."""

    def demand(self, count: int) -> None:
        """Be ready for ``count`` deliveries from now on, in place of what was asked before.

        1. Each delivery lowers it by one; at zero nothing more is delivered until the next call.
        2. Messages come in batches as large as what is due, as soon as they are due.
        """

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""

    def close(self) -> None:
        """Stop delivering; what is unacked comes back, another subscription takes over. Idempotent."""


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
    """Looks into queues without taking anything; what a broker cannot know it says by its return value."""

    def find(self, kind: Kind, queue: str, keys: Sequence[str]) -> Mapping[str, list[Message]] | None:
        """The stored messages of these keys, those in workers' hands included; ``None``: cannot be looked up."""

    def browse(self, kind: Kind, queue: str, limit: int, after: tuple[int, str] | None) -> list[Message] | None:
        """Up to ``limit`` messages in (due, key) order behind ``after``; ``None``: cannot be listed."""

    def discard(self, kind: Kind, queue: str, copy_ids: Sequence[str]) -> int:
        """Remove these messages where the broker can, in whosever hands they are; how many it removed."""

    def depth(self, kind: Kind, queue: str) -> Depth:
        """How much the queue holds. `UnknownQueueError` where there is no such queue."""

    def purge(self, kind: Kind, queue: str) -> int:
        """Remove what can be removed of what is not in a worker's hands; how many it removed."""


class Declarer(Protocol):
    """Makes queues exist."""

    def declare(self, queues: Iterable[Queue]) -> None:
        """Make sure that these queues exist; idempotent, removes nothing, keeps every task."""

    def known_queues(self) -> Mapping[str, Kind]:
        """The queues that exist in the broker, configured now or not."""


class CheckStatus(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One checked thing, as ``gae-broker check`` and ``/readyz`` print it."""

    name: str
    status: CheckStatus
    text: str


class Broker(Publisher, Puller, Consumer, Browser, Declarer, Protocol):
    """All that the engine needs of a broker; an adapter class implements it."""

    def check(self) -> list[Check]:
        """Look at the broker's health; never raises for what it finds."""

    def close(self) -> None:
        """Release everything; unacked messages come back. Idempotent."""


# ---------------------------------------------------------------------------------------------- ledger


class State(StrEnum):
    """What the ledger knows of a task."""

    CLAIMED = "claimed"
    """The name is reserved, the message may or may not be in the broker yet."""
    LIVE = "live"
    DONE = "done"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Fact:
    """One ledger row, as the engine reads it.

    Attributes:
        live_copy: the only copy that may run; ``None`` for a task that the ledger holds itself.
        eta_us: the next attempt's earliest time; of a leased task the end of its lease.
        leases: how often it was leased.
        until_us: for `State.DONE` and `State.DELETED`, when the name is free again (0: it was never taken).
        changed_us: when the row last changed.
        held: whether the ledger holds the task itself (a pull task with a tag).
    """

    state: State
    live_copy: str | None
    eta_us: int
    leases: int
    until_us: int
    changed_us: int
    held: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish to add a task: its row is made before its message is published.

    ``message.copy_id`` becomes the live copy; ``named`` is whether the caller chose the name.
    ``tag`` is given for tasks that the ledger shall hold itself, else ``None``.
    """

    message: Message
    named: bool
    created_us: int
    tag: str | None = None


class ClaimResult(StrEnum):
    """What became of a claim."""

    GRANTED = "granted"
    EXISTS = "exists"
    TOMBSTONED = "tombstoned"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """A claim's result; ``fact`` is the row that stood in the way, ``None`` when granted."""

    result: ClaimResult
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A compare-and-swap of a task's live copy, after its successor was confirmed.

    Attributes:
        old_copy: the copy that must be live; where there is no row, it is the original and the move succeeds.
        new_copy: the copy that is live from then on.
        eta_us: the new copy's due time, recorded as the row's eta.
        leases: the row's new lease count.
        named: whether the caller chose the name; recorded when the row is made.
        created_us: the task's creation time; recorded when the row is made.
        expected_eta_us: if given, the row's eta must equal it too.
    """

    name: str
    old_copy: str
    new_copy: str
    eta_us: int
    leases: int
    named: bool
    created_us: int
    expected_eta_us: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A task that the ledger holds: its message, its eta and lease count as they are now."""

    message: Message
    tag: str
    eta_us: int
    leases: int
    created_us: int
    named: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a queue's active dispatcher says of it once a second."""

    executed_last_minute: int
    in_flight: int
    enforced_rate: float
    reported_us: int


@dataclass(frozen=True, slots=True)
class Control:
    """A queue's steering: set by operators, read by dispatchers.

    Attributes:
        paused: no dispatches and no leases; adding goes on.
        purged_us: tasks created at or before it are void; 0: never purged.
        epoch: number of the latest ownership.
        report: the latest, ``None`` where there never was one.
    """

    paused: bool = False
    purged_us: int = 0
    epoch: int = 0
    report: Report | None = None


class Deletion(StrEnum):
    """What became of a deletion."""

    DELETED = "deleted"
    GONE = "gone"
    """It was done or deleted before."""
    UNKNOWN = "unknown"
    """There is no row."""


@runtime_checkable
class Facts(Protocol):
    """Rows about tasks. Each call is one transaction: all of it happens, or none."""

    def claim(self, queue: str, claims: Sequence[Claim], now_us: int, takeover_us: int) -> list[ClaimOutcome]:
        """Reserve names, each for itself.

        1. A free name (no row, or a tombstone past its ``until_us``) is granted: the row becomes `State.CLAIMED`
           and keeps the message; for a held task (with a tag) it becomes `State.LIVE` at once and stays the
           task's only home.
        2. A claimed name whose row changed after ``takeover_us`` is PENDING; an older claim is taken over.
        3. Two callers never both get GRANTED for one name within the takeover time.
        """

    def confirm(self, queue: str, copies: Sequence[tuple[str, str]], now_us: int) -> None:
        """Turn claims (name, copy_id) into `State.LIVE` and forget their messages; rows moved on stay as they are."""

    def release(self, queue: str, copies: Sequence[tuple[str, str]]) -> None:
        """Give up claims (name, copy_id) whose message is known not to be stored: the names are free again."""

    def stale_claims(self, before_us: int, limit: int) -> list[Claim]:
        """Claims whose row changed before ``before_us``, with the messages to publish again."""

    def facts(self, queue: str, names: Sequence[str]) -> dict[str, Fact]:
        """The rows there are, by name. One query for any number of names."""

    def advance(self, queue: str, moves: Sequence[Move], now_us: int) -> list[bool]:
        """Swap live copies, each for itself; ``True`` where the swap took place.

        1. Without a row the move makes one. 2. With a row it needs CLAIMED or LIVE, and the expected copy (and
           eta). 3. The row is kept until every copy it ever knew is past due and slack.
        """

    def finish(self, queue: str, copies: Sequence[tuple[str, str]], now_us: int, until_us: int) -> None:
        """Mark tasks (name, copy_id) done, where that copy is live; named tasks are tombstoned until ``until_us``."""

    def delete(self, queue: str, names: Sequence[str], now_us: int, until_us: int, make: bool) -> list[Deletion]:
        """Mark tasks deleted and tombstone them until ``until_us``; a held task's content goes too.

        With ``make``, a name without a row gets one (UNKNOWN is still the answer), kept so long that no copy of
        the task, whatever its due time, can run.
        """

    def purge(self, queue: str, purged_us: int, now_us: int, until_us: int) -> int:
        """Delete every claimed or live row created at or before ``purged_us``; set the queue's watermark."""

    def free(self, queue: str, names: Sequence[str] | None) -> int:
        """Lift the tombstones of these names (``None``: all of the queue's), so that they can be taken at once.

        Claimed and live rows stay as they are, and rows go on suppressing copies; how many names it freed.
        """

    def prune(self, now_us: int, limit: int) -> int:
        """Remove up to ``limit`` rows that suppress nothing any more; how many went."""


class HeldTasks(Protocol):
    """Tasks that the ledger holds itself: pull tasks with a tag."""

    def held_ready(self, queue: str, limit: int, now_us: int) -> list[tuple[int, str, str]]:
        """(eta_us, name, tag) of the first held tasks with eta before ``now_us``, in (eta, name) order."""

    def lease_held(self, queue: str, tag: str | None, limit: int, now_us: int, eta_us: int) -> list[Held]:
        """Lease the first ``limit`` held tasks with eta before ``now_us``, of one tag or (``None``) of any.

        1. Each gets ``eta_us`` and one lease more, atomically; two callers never get the same task.
        2. In (eta, name) order of before the lease; the answer shows the state after it.
        """

    def move_held(self, queue: str, name: str, expected_eta_us: int, eta_us: int, now_us: int) -> bool:
        """Set a held task's eta, if it is live and its eta is the expected one."""

    def held(self, queue: str, limit: int, after: tuple[int, str] | None) -> list[Held]:
        """Up to ``limit`` held tasks in (eta, name) order behind ``after``."""

    def held_depth(self, queue: str) -> tuple[int, int | None]:
        """How many tasks the ledger holds of a queue, and the smallest eta."""


class Controls(Protocol):
    """Steering and reports of queues."""

    def control(self, queue: str) -> Control:
        """The queue's steering; defaults where nothing was ever set."""

    def set_paused(self, queue: str, paused: bool) -> None:
        """Pause or resume the queue for every process."""

    def take_ownership(self, queue: str, owner: str) -> int:
        """Record a new active dispatcher; the new epoch, greater than every one before."""

    def report(self, queue: str, epoch: int, report: Report) -> bool:
        """Store a report if the epoch is still the queue's latest; whether it is."""


class Payloads(Protocol):
    """Payloads too large for a task, kept by key until they are fetched and deleted (claim check)."""

    def put_payload(self, key: str, body: bytes, now_us: int) -> None:
        """Store durably."""

    def get_payload(self, key: str) -> bytes | None:
        """The payload, ``None`` where there is none."""

    def delete_payload(self, key: str) -> None:
        """Forget it; nothing happens where there is none."""


class Ledger(Facts, HeldTasks, Controls, Payloads, Protocol):
    """All that the engine needs of a ledger; an adapter class implements it."""

    def migrate(self) -> None:
        """Create the schema, or bring it to this release's version. Idempotent, safe from several processes."""

    def check(self) -> list[Check]:
        """Look at the ledger's health; never raises for what it finds."""

    def close(self) -> None:
        """Release everything. Idempotent."""
