"""What the engine needs of a ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from gae_broker.domain.message import Message
from gae_broker.ports.world import Check


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
        message: the new copy, where the ledger shall keep it until the task moves on; see `Parked`.
    """

    name: str
    old_copy: str
    new_copy: str
    eta_us: int
    leases: int
    named: bool
    created_us: int
    expected_eta_us: int | None = None
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Delayed:
    """How many tasks without a row, added together, wait until about the same time.

    Attributes:
        until_us: the last of them is due then; they count fewer the nearer that is.
        width_us: the first is due this long before at the earliest.
        tasks: how many.
        first_us: the smallest due time.
        created_us: when the last of them was added; a purge since then has removed them.
    """

    queue: str
    until_us: int
    width_us: int
    tasks: int
    first_us: int
    created_us: int


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
        owner: what the dispatcher of that ownership calls itself, ``""`` where there never was one.
    """

    paused: bool = False
    purged_us: int = 0
    epoch: int = 0
    report: Report | None = None
    owner: str = ""


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

    def confirm(
        self, queue: str, copies: Sequence[tuple[str, str]], now_us: int, keep_after_us: int | None = None
    ) -> None:
        """Turn claims (name, copy_id) into `State.LIVE` and forget their messages; rows moved on stay as they are.

        Messages due after ``keep_after_us`` are kept; see `Parked`.
        """

    def release(self, queue: str, copies: Sequence[tuple[str, str]]) -> None:
        """Give up claims (name, copy_id) whose message is known not to be stored: the names are free again."""

    def stale_claims(self, before_us: int, limit: int) -> list[Claim]:
        """Claims whose row changed before ``before_us``, with the messages to publish again."""

    def facts(self, queue: str, names: Sequence[str]) -> dict[str, Fact]:
        """The rows there are, by name. One query for any number of names."""

    def advance(self, queue: str, moves: Sequence[Move], now_us: int) -> list[bool]:
        """Swap live copies, each for itself; ``True`` where the swap took place.

        1. Without a row the move makes one. 2. With a row it needs CLAIMED or LIVE, and the expected copy (and
           eta). 3. The row is kept until every copy it ever knew is past due and slack. 4. A move whose new copy is
           live already took place before: that is ``True`` as well, and changes nothing.
        """

    def finish(self, queue: str, copies: Sequence[tuple[str, str]], now_us: int, until_us: int) -> None:
        """Mark tasks (name, copy_id) done, where that copy is live; named tasks are tombstoned until ``until_us``."""

    def delete(self, queue: str, names: Sequence[str], now_us: int, until_us: int, make: bool) -> list[Deletion]:
        """Mark tasks deleted and tombstone named ones until ``until_us``; a task's content goes too.

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
        """Remove up to ``limit`` rows that suppress nothing any more; how many went.

        A row suppresses until its copies have left the broker. They may be late by as long as nobody kept watch
        (`Watch.alive`), and one that is due leaves its queue when `Watch.seen` says that what came after it has.
        So a row goes when its latest copy was due an hour and the time without a watch ago, and its queue was seen
        since. Of a queue that nobody reads it goes when it was due 90 days ago.
        """


class Parked(Protocol):
    """Messages of live tasks that wait in a broker which cannot be looked into; the ledger keeps a copy of them.

    It goes when the task moves on, is done, or is deleted.
    """

    def parked(self, queue: str, names: Sequence[str]) -> dict[str, Message]:
        """The kept messages of these tasks, each that of the live copy."""

    def list_parked(self, queue: str, limit: int, after: tuple[int, str] | None) -> list[Message]:
        """Up to ``limit`` kept messages in (eta, name) order behind ``after``."""


class Census(Protocol):
    """Counts what waits in a broker that cannot count it."""

    def count_delayed(self, added: Sequence[Delayed]) -> None:
        """Count tasks that have no row; they leave the count by themselves as time passes, and with a purge."""

    def waiting(self, queue: str, now_us: int) -> tuple[int, int | None]:
        """How many tasks are due later than ``now_us``, and the smallest eta of all that is known.

        Counted are rows (of leased, retried and named tasks) and what `count_delayed` was told; not what the ledger
        holds itself. A task deleted early stays counted until it is due where it had no row. The smallest eta may
        be past: that of a task which is due and has a row.
        """


class Watch(Protocol):
    """What is known of how far queues were read, and of times in which nobody looked."""

    FORGOTTEN_US: int
    """No row is kept longer than this after its copies were due; a queue that nobody read for so long is forgotten."""

    def seen(self, queues: Mapping[str, int]) -> None:
        """Note of queues when every copy was delivered that entered the queue before; the latest time counts."""

    def seen_us(self, queue: str) -> int:
        """What `seen` was told last, 0 if nothing."""

    def alive(self, now_us: int) -> None:
        """Note that the broker works now. A pause of over a minute between two calls counts as its outage."""


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


class Ledger(Facts, Parked, HeldTasks, Census, Watch, Controls, Payloads, Protocol):
    """All that the engine needs of a ledger; an adapter class implements it."""

    def migrate(self) -> None:
        """Create the schema, or bring it to this release's version. Idempotent, safe from several processes."""

    def verify(self) -> None:
        """Make sure that the schema is of this release's version, and change nothing; `StorageError` where not."""

    def check(self) -> list[Check]:
        """Look at the ledger's health; never raises for what it finds."""

    def close(self) -> None:
        """Release everything. Idempotent."""
