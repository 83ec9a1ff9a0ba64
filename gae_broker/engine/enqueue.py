"""Adds tasks: App Engine's service phase, then publish, then whatever the ledger must know.

Design section 5: a name is reserved (the ledger keeps the message), the message is published and confirmed, the
reservation becomes a live row. A crash in between leaves a claim that housekeeping publishes again under the same
copy id: the name is not burnt, the task not lost. Unnamed tasks never touch the ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Content, Copy, Kind, LargePayload
from gae_broker.engine import entry, refusal, transactions
from gae_broker.engine.catalog import Catalog
from gae_broker.engine.names import Namer
from gae_broker.engine.notes import Notes
from gae_broker.engine.stamps import Stamps
from gae_broker.engine.storage import StorageGuard
from gae_broker.engine.succession import keep_after_us
from gae_broker.engine.transactions import Enlisted
from gae_broker.ports import Browser, Claim, ClaimOutcome, ClaimResult, Clock, Facts, Payloads, Publisher
from gae_broker.settings import Settings

_log = logging.getLogger(__name__)
_US = 1_000_000
MAX_ETA_US = 30 * 86_400 * _US
NOT_STORED = (
    errors.UnknownQueueError,
    errors.PublishRejectedError,
    errors.PermissionDeniedError,
    errors.ConfigurationError,
    errors.InvalidTaskError,
)
"""Publish failures that leave no copy behind; after any other the copy may be stored."""

_ADDED_BEFORE = (errors.TaskAlreadyExistsError, errors.TombstonedTaskError)
"""Of a name that the engine chose: an earlier try of the same add, whose answer got lost, succeeded."""


class Store(Publisher, Browser, Protocol):
    """A broker, as far as tasks are put into it and looked up."""


class Records(Facts, Payloads, Protocol):
    """A ledger, as far as tasks that are added need one."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to add.

    Attributes:
        content: its name is ``""`` where the engine shall choose one; ``created_us`` is set by the engine.
        eta_us: the earliest time of its first attempt.
        large: of a transactional add: what to store in the ledger before the task is enqueued.
    """

    content: Content
    eta_us: int
    large: LargePayload | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one task of a call.

    Attributes:
        name: the task's name where it was added, else ``None``.
        error: why it was not added, or is not known to have been; ``None`` where it was added or skipped.
        skipped: it is valid itself and was not added, as another task of the call is not.
    """

    name: str | None
    error: Exception | None = None
    skipped: bool = False


class Enqueuer:
    """Adds tasks to queues.

    Args:
        broker: where messages go.
        ledger: where names are reserved, and large payloads stored.
        catalog: which queues there are.
        stamps, namer: times, and names for the unnamed.
        storage: keeps queue.yaml's ``total_storage_limit``.
        notes: told of delayed tasks.
        settings: deadlines.
    """

    def __init__(
        self,
        *,
        broker: Store,
        ledger: Records,
        catalog: Catalog,
        stamps: Stamps,
        namer: Namer,
        storage: StorageGuard,
        notes: Notes,
        settings: Settings,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._catalog = catalog
        self._clock: Clock = stamps
        self._stamps = stamps
        self._namer = namer
        self._storage = storage
        self._notes = notes
        self._deadline_s = settings.publish_deadline_s
        self._takeover_us = round(settings.claim_takeover_s * _US)

    def add(self, queue: str, tasks: Sequence[NewTask], *, transactional: bool = False) -> list[Added]:
        """Add tasks, one answer each, in order.

        If any is invalid (eta, queue, size) none is added and the valid ones are reported as skipped. Otherwise
        each is added for itself: a name that is taken, or a failed publish, concerns that task alone.

        Args:
            queue: the queue's name.
            tasks: what to add.
            transactional: enlist the tasks with the current transaction; they are enqueued when it commits.

        Raises:
            InvalidQueueModeError: push tasks for a pull queue, or the reverse.
            PublishRejectedError: queue.yaml's ``total_storage_limit`` would be exceeded.
            BadTransactionStateError, DatastoreError, InvalidTaskNameError: of a transactional add only.
        """
        if not tasks:
            return []
        invalid = self._invalid(queue, tasks)
        if invalid is not None:
            return invalid
        _require_mode(self._catalog.get(queue), tasks)
        self._storage.require(tasks_bytes=sum(len(task.content.payload) for task in tasks))
        if transactional:
            return self._enlist(queue, tasks)
        return self.deliver(self._copies(queue, tasks))

    def deliver(self, copies: Sequence[Copy], *, reserve_all: bool = False) -> list[Added]:
        """Put copies of one queue into it by the protocol above, one answer each, in order.

        For transactions: it may be called again with the copies that failed. With ``reserve_all`` the names that
        the engine chose are reserved too: for tasks that were in a queue before.
        """
        messages = wire.Messages(copies)
        reserved = [
            index
            for index, copy in enumerate(copies)
            if reserve_all or copy.content.named or copy.content.tag is not None
        ]
        failures: dict[int, Exception] = {}
        claimed_us = self._clock.now_us() if reserved else 0
        if reserved:
            failures = self._claim(copies, messages, reserved, claimed_us)
        outgoing = [i for i, copy in enumerate(copies) if copy.content.tag is None and i not in failures]
        if outgoing:
            failures |= self._publish(copies, messages, outgoing, set(reserved), claimed_us)
            if self._notes.counts:
                self._count([copies[i] for i in outgoing if i not in failures and i not in reserved])
        return [
            Added(None, failures[index]) if index in failures else Added(copy.name) for index, copy in enumerate(copies)
        ]

    def deliver_committed(self, tasks: Sequence[Enlisted]) -> list[Exception | None]:
        """Enqueue tasks of one queue whose transaction has committed, in order; ``None`` for each, or why it was not.

        They count as created now, so that a purge before the commit does not concern them. It may be called again
        with those that failed, or, by a process that does not know what became of an earlier call, with all.
        """
        if not tasks:
            return []
        failures = [self._store(task.large) for task in tasks]
        ready = [index for index, error in enumerate(failures) if error is None]
        if not ready:
            return failures
        created_us = self._stamps.created_us(tasks[0].copy.queue)
        copies = [tasks[index].copy for index in ready]
        stamped = [replace(copy, content=replace(copy.content, created_us=created_us)) for copy in copies]
        for index, added in zip(ready, self.deliver(stamped), strict=True):
            failures[index] = None if isinstance(added.error, _ADDED_BEFORE) else added.error
        return failures

    def _invalid(self, queue: str, tasks: Sequence[NewTask]) -> list[Added] | None:
        """The answers of a call that adds nothing, ``None`` where every task is valid."""
        latest_us = self._clock.now_us() + MAX_ETA_US
        try:
            self._catalog.get(queue)
            unknown = None
        except errors.UnknownQueueError as exc:
            unknown = exc
        found = [_eta_error(task, latest_us) or unknown or _size_error(queue, task) for task in tasks]
        if not any(found):
            return None
        return [Added(None, error, skipped=error is None) for error in found]

    def _copies(self, queue: str, tasks: Sequence[NewTask]) -> list[Copy]:
        created_us = self._stamps.created_us(queue)
        copies = []
        for task in tasks:
            content = task.content.enqueued("" if task.content.name else self._namer.task_name(), created_us)
            copies.append(Copy(self._namer.copy_id(), queue, content, task.eta_us))
        return copies

    def _enlist(self, queue: str, tasks: Sequence[NewTask]) -> list[Added]:
        for task in tasks:
            if task.content.name:
                raise errors.InvalidTaskNameError(
                    f"task {task.content.name!r}: a task of a transaction cannot be named; leave the name out",
                )
        copies = self._copies(queue, tasks)
        transaction = transactions.require(len(copies))
        waiting = [Enlisted(copy, task.large) for copy, task in zip(copies, tasks, strict=True)]
        transaction.enlist(tuple(waiting), lambda: self._deliver_waiting(waiting))
        return [Added(copy.name) for copy in copies]

    def _deliver_waiting(self, waiting: list[Enlisted]) -> None:
        """Enqueue a committed transaction's tasks and take them off the list.

        Raises:
            Error: why the first of those that stay on the list could not be enqueued; call again later.
        """
        failures = self.deliver_committed(waiting)
        waiting[:] = [task for task, error in zip(waiting, failures, strict=True) if error is not None]
        for error in failures:
            if error is not None:
                raise error

    def _store(self, large: LargePayload | None) -> Exception | None:
        """Store a payload; why that failed."""
        try:
            if large is not None:
                self._ledger.put_payload(large.key, large.body, self._clock.now_us())
        except errors.Error as exc:
            return exc
        return None

    def _claim(
        self,
        copies: Sequence[Copy],
        messages: Sequence[Message],
        reserved: Sequence[int],
        now_us: int,
    ) -> dict[int, Exception]:
        """Reserve names; why not, by index."""
        queue = copies[0].queue
        failures: dict[int, Exception] = {}
        first: dict[str, int] = {}
        for index in reserved:
            if first.setdefault(copies[index].name, index) != index:
                failures[index] = refusal.exists(queue, copies[index].name)
        try:
            taken = self._stored_without_row(queue, copies[0].content.kind, list(first))
            wanted = [index for name, index in first.items() if name not in taken]
            claims = [
                Claim(messages[i], copies[i].content.named, copies[i].content.created_us, copies[i].content.tag)
                for i in wanted
            ]
            outcomes = self._ledger.claim(queue, claims, now_us, now_us - self._takeover_us) if claims else []
        except errors.TransientError as exc:
            return failures | dict.fromkeys(first.values(), exc)
        failures |= {first[name]: refusal.exists(queue, name) for name in taken}
        for index, outcome in zip(wanted, outcomes, strict=True):
            if outcome.result is not ClaimResult.GRANTED:
                failures[index] = _refuse(queue, copies[index].name, outcome)
        return failures

    def _stored_without_row(self, queue: str, kind: Kind, names: Sequence[str]) -> set[str]:
        """Those of these names that a task bears of which the ledger knows nothing, where the broker can tell.

        Such a task got its name from the engine, or the ledger was lost; a claim would make it void.
        """
        found = self._broker.find(kind, queue, names) or {}
        stored = [name for name, messages in found.items() if messages]
        if not stored:
            return set()
        facts = self._ledger.facts(queue, stored)
        return {name for name in stored if name not in facts}

    def _publish(
        self,
        copies: Sequence[Copy],
        messages: Sequence[Message],
        outgoing: Sequence[int],
        reserved: set[int],
        claimed_us: int,
    ) -> dict[int, Exception]:
        """Publish, then turn claims into live rows, or give up those whose message is known not to be stored."""
        queue = copies[0].queue
        chosen = messages if len(outgoing) == len(messages) else [messages[index] for index in outgoing]
        results = self._broker.publish(chosen, self._deadline_s)
        failures = {index: error for index, error in zip(outgoing, results, strict=True) if error is not None}
        claimed = [index for index in outgoing if index in reserved]
        lost = [index for index in claimed if isinstance(failures.get(index), NOT_STORED)]
        stored = [index for index in claimed if index not in failures]
        if lost:
            self._release(queue, [(copies[index].name, copies[index].copy_id) for index in lost])
        if stored:
            claims = [(copies[index].name, copies[index].copy_id) for index in stored]
            error = self._confirm(queue, copies[0].content.kind, claims, claimed_us)
            if error is not None:
                failures |= dict.fromkeys(stored, error)
        return failures

    def _count(self, added: Sequence[Copy]) -> None:
        """Note of what was stored and has no row, as the broker cannot count what waits."""
        if added:
            self._notes.delayed(added[0].queue, (copy.eta_us for copy in added), added[0].content.created_us)

    def _release(self, queue: str, claims: Sequence[tuple[str, str]]) -> None:
        try:
            self._ledger.release(queue, claims)
        except errors.TransientError as exc:
            # The claims stay: their names are refused until they are taken over, and housekeeping tries to publish.
            _log.warning("%d names in queue %s stay reserved: %s", len(claims), queue, exc)

    def _confirm(self, queue: str, kind: Kind, claims: Sequence[tuple[str, str]], claimed_us: int) -> Exception | None:
        """Make stored tasks live. Why that is not certain; the tasks are then stored, and safe to add again.

        A task whose claim was not confirmed must not be reported as added: another add may take the name over and
        with it void the stored copy.
        """
        now_us = self._clock.now_us()
        try:
            self._ledger.confirm(queue, claims, now_us, keep_after_us(self._broker, kind, now_us))
        except errors.TransientError as exc:
            return exc
        if now_us - claimed_us < self._takeover_us:
            return None
        return errors.ConfirmTimeoutError(
            f"publishing to queue {queue!r} took {(now_us - claimed_us) / _US:.0f} s, so long that another add may "
            "have taken the name over; whether the task was enqueued is not known, add it again",
        )


def _require_mode(config: Queue, tasks: Sequence[NewTask]) -> None:
    mode = Mode.PULL if tasks[0].content.kind is Kind.PULL else Mode.PUSH
    if config.mode is not mode:
        raise errors.InvalidQueueModeError(f"queue {config.name!r} is a {config.mode} queue; it takes no {mode} tasks")


def _eta_error(task: NewTask, latest_us: int) -> Exception | None:
    if task.eta_us < 0:
        return errors.InvalidEtaError(f"eta {task.eta_us} us is before 1970; give a time since then")
    if task.eta_us > latest_us:
        return errors.InvalidEtaError(f"eta {refusal.moment(task.eta_us)} is more than 30 days ahead")
    return None


def _size_error(queue: str, task: NewTask) -> Exception | None:
    if entry.is_small(task.content):
        return None
    limit = entry.limit(task.content.kind)
    size = entry.size(queue, task.content, task.eta_us)
    if size <= limit:
        return None
    return errors.TaskTooLargeError(
        f"the task's entry in the request is {size} bytes, a {task.content.kind} task's may be {limit}; "
        "store the payload elsewhere and send its key",
    )


def _refuse(queue: str, name: str, outcome: ClaimOutcome) -> Exception:
    if outcome.result is ClaimResult.PENDING:
        return errors.ClaimPendingError(
            f"another add of task {name!r} to queue {queue!r} is under way; try again in a few seconds",
        )
    if outcome.result is ClaimResult.EXISTS:
        return refusal.exists(queue, name)
    return refusal.tombstoned(queue, name, outcome.fact)
