"""One batch of deliveries, from the broker's hands to an attempt and back: synchronous, no thread, no loop.

The order is the protocol of design section 5: publish what takes a copy's place and await the confirm, then swap
the row, then ack. Whatever fails on the way, the copies it concerns stay unacked and come back: at least once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gae_broker.domain import headers
from gae_broker.domain.attempt import (
    Conclusion,
    GiveUp,
    Knowledge,
    Outcome,
    Retry,
    Verdict,
    abandon,
    conclude,
    decide,
)
from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Copy, Kind
from gae_broker.domain.wire import decode, encode
from gae_broker.engine.intake import read_until_us
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.succession import Mover, Step, Succession
from gae_broker.errors import Error, StorageError
from gae_broker.ports import Control, Delivery, Fact, State

__all__ = ["Attempt", "Deliverer", "Hands", "HttpRequest", "Outcome", "Settled", "needs_ack_only"]

_US = 1_000_000


class Hands(Protocol):
    """Whoever the deliveries came from: a broker's `Puller`, or a `Subscription`."""

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that may run now.

    Attributes:
        copy: the task.
        delivery: what to ack when it is settled.
        request: what to ask of the target.
        has_row: whether the ledger knew the task at admission, so that its end must be recorded there.
    """

    copy: Copy
    delivery: Delivery
    request: HttpRequest
    has_row: bool

    @property
    def number(self) -> int:
        """1 for a task's first attempt; those that a crash cut short count."""
        return self.copy.progress.tries + self.delivery.delivery_count + 1


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one attempt.

    Attributes:
        error: ``None`` once it is settled; otherwise the broker still holds the delivery as unacked.
        is_recorded: whether what follows from the attempt is stored, so that only the ack is missing: call
            `Deliverer.ack`. Otherwise settle it again, or restore it, in which case the task runs again.
    """

    attempt: Attempt
    outcome: Outcome
    conclusion: Conclusion
    error: Exception | None
    is_recorded: bool


@dataclass(slots=True)
class _Plan:
    """What to do about one delivery before it is acked; ``error`` is set where it could not be done.

    Attributes:
        succession: the copy that takes its place.
        dead: what is kept of it for the operator.
        finish: name and copy id to record as done.
    """

    delivery: Delivery
    succession: Succession | None = None
    dead: Message | None = None
    finish: tuple[str, str] | None = None
    error: Exception | None = None
    is_recorded: bool = False


class Deliverer:
    """Admits deliveries and settles attempts, in batches of any size.

    Args:
        runtime: broker, ledger, clock and the rest.
        hands: where to ack and restore; the runtime's broker if not given.
    """

    def __init__(self, runtime: Runtime, hands: Hands | None = None) -> None:
        self._runtime = runtime
        self._hands: Hands = runtime.broker if hands is None else hands
        self._publish_s = runtime.settings.publish_deadline_s
        self._mover = Mover(runtime.broker, runtime.ledger, runtime.clock, self._publish_s)

    def admit(self, queue: Queue, deliveries: Sequence[Delivery], control: Control | None = None) -> list[Attempt]:
        """The deliveries that may run now; the others are dropped, put back until they are due, or given up.

        ``control`` saves a query where the caller knows the queue's steering.

        Raises:
            Error: the ledger or the broker cannot be asked; no delivery was acked, restore them all.
        """
        if not deliveries:
            return []
        self._runtime.notes.seen(queue.name, read_until_us(deliveries))
        now_us = self._runtime.clock.now_us()
        control = self._runtime.ledger.control(queue.name) if control is None else control
        facts = self._runtime.ledger.facts(queue.name, [d.message.key for d in deliveries])
        copies = [_read(delivery) for delivery in deliveries]
        facts = self._mover.record(queue.name, [copy for copy in copies if copy is not None], facts)
        attempts: list[Attempt] = []
        plans: list[_Plan] = []
        met: set[str] = set()
        for delivery, copy in zip(deliveries, copies, strict=True):
            if delivery.message.copy_id in met:
                plans.append(_Plan(delivery))  # one copy twice, as a broker may deliver it: once is enough
                continue
            met.add(delivery.message.copy_id)
            admitted = self._admit_one(queue, delivery, copy, facts.get(delivery.message.key), control, now_us)
            if isinstance(admitted, Attempt):
                attempts.append(admitted)
            else:
                plans.append(admitted)
        self._carry_out(queue.name, plans)
        failed = [plan.delivery for plan in plans if plan.error is not None]
        if failed:
            self._hands.restore(failed)
        return attempts

    def settle(self, queue: Queue, attempts: Sequence[tuple[Attempt, Outcome]]) -> list[Settled]:
        """Bring a batch of attempts to its end: retry copies and dead letters first, then the rows, then one ack.

        Raises nothing for a failing broker or ledger: each attempt's `Settled` tells.
        """
        conclusions = [self._conclude(queue, attempt, outcome) for attempt, outcome in attempts]
        plans = [_plan(attempt, conclusion) for (attempt, _), conclusion in zip(attempts, conclusions, strict=True)]
        self._carry_out(queue.name, plans)
        return [
            Settled(attempt, outcome, conclusion, plan.error, plan.is_recorded)
            for (attempt, outcome), conclusion, plan in zip(attempts, conclusions, plans, strict=True)
        ]

    def ack(self, settled: Sequence[Settled]) -> None:
        """Ack attempts that are recorded.

        Raises:
            Error: the broker did not take the acks.
        """
        self._hands.ack([one.attempt.delivery for one in settled])

    def _admit_one(
        self,
        queue: Queue,
        delivery: Delivery,
        copy: Copy | None,
        fact: Fact | None,
        control: Control,
        now_us: int,
    ) -> Attempt | _Plan:
        if copy is None:
            # Unreadable here, not worthless: kept among the dead as it is, instead of failing for ever.
            return _Plan(delivery, dead=replace(delivery.message, kind=Kind.DEAD, due_us=0))
        count = delivery.delivery_count
        decision = decide(copy, count, _knowledge(copy, fact, control), queue.retry, now_us)
        if decision.verdict is Verdict.DROP:
            # A purge that met the task's add: its row would look like a live task's, and hold the name, for ever.
            met = fact is not None and fact.live_copy == copy.copy_id and fact.state not in {State.DONE, State.DELETED}
            return _Plan(delivery, finish=(copy.name, copy.copy_id) if met else None)
        if decision.verdict is Verdict.DELAY:
            again = copy.successor(self._runtime.names.copy_id(), copy.eta_us, copy.progress)
            return _Plan(delivery, Succession(copy.copy_id, again, 0))
        if decision.verdict is Verdict.GIVE_UP:
            given_up = abandon(copy, count, decision.reason, now_us, self._runtime.names.copy_id())
            return _Plan(delivery, dead=encode(given_up.copy, Kind.DEAD), finish=(copy.name, copy.copy_id))
        settings = self._runtime.settings
        deadline_us = queue.deadline_us or round(settings.dispatch_deadline_s * _US)
        request = headers.request(copy, count, queue.target, deadline_us, settings.default_version_hostname)
        return Attempt(copy, delivery, request, fact is not None)

    def _conclude(self, queue: Queue, attempt: Attempt, outcome: Outcome) -> Conclusion:
        new_copy_id = "" if outcome.success else self._runtime.names.copy_id()
        return conclude(attempt.copy, attempt.delivery.delivery_count, outcome, queue.retry, new_copy_id)

    def _carry_out(self, queue: str, plans: Sequence[_Plan]) -> None:
        """Do everything in the protocol's order; what fails is left out of the steps after it."""
        self._succeed(queue, [plan for plan in plans if plan.succession is not None])
        self._bury([plan for plan in plans if plan.dead is not None])
        self._finish(queue, [plan for plan in plans if plan.finish is not None and plan.error is None])
        concluded = [plan for plan in plans if plan.error is None]
        for plan in concluded:
            plan.is_recorded = True
        if concluded:
            with _failing(concluded):
                self._hands.ack([plan.delivery for plan in concluded])

    def _succeed(self, queue: str, plans: Sequence[_Plan]) -> None:
        # A succession that is lost means that the copy was deleted, purged or replaced meanwhile: ack it as well.
        with _failing(plans):
            steps, error = self._mover.move(queue, [plan.succession for plan in plans if plan.succession is not None])
            for plan, step in zip(plans, steps, strict=True):
                plan.error = error if step is Step.UNSTORED else None

    def _bury(self, plans: Sequence[_Plan]) -> None:
        messages = [plan.dead for plan in plans if plan.dead is not None]
        if messages:
            with _failing(plans):
                for plan, error in zip(plans, self._runtime.broker.publish(messages, self._publish_s), strict=True):
                    plan.error = error

    def _finish(self, queue: str, plans: Sequence[_Plan]) -> None:
        copies = [plan.finish for plan in plans if plan.finish is not None]
        if copies:
            now_us = self._runtime.clock.now_us()
            until_us = now_us + round(self._runtime.settings.tombstone_s * _US)
            with _failing(plans):
                self._runtime.ledger.finish(queue, copies, now_us, until_us)


def _read(delivery: Delivery) -> Copy | None:
    try:
        return decode(delivery.message)
    except StorageError:
        return None


def needs_ack_only(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether settling this attempt asks nothing of the ledger and publishes nothing."""
    return outcome.success and not attempt.has_row and not attempt.copy.content.named


def _plan(attempt: Attempt, conclusion: Conclusion) -> _Plan:
    copy = attempt.copy
    if isinstance(conclusion, Retry):
        return _Plan(attempt.delivery, Succession(copy.copy_id, conclusion.copy, 0))
    # Without a row and a name to bar there is nothing to record, and the ledger is spared a write a task.
    finish = (copy.name, copy.copy_id) if attempt.has_row or copy.content.named else None
    dead = encode(conclusion.copy, Kind.DEAD) if isinstance(conclusion, GiveUp) else None
    return _Plan(attempt.delivery, dead=dead, finish=finish)


def _knowledge(copy: Copy, fact: Fact | None, control: Control) -> Knowledge:
    if control.purged_us and copy.content.created_us <= control.purged_us:
        return Knowledge.PURGED
    if fact is None:
        return Knowledge.UNKNOWN
    if fact.state is State.DONE:
        return Knowledge.DONE
    if fact.state is State.DELETED:
        return Knowledge.DELETED
    return Knowledge.LIVE if fact.live_copy == copy.copy_id else Knowledge.STALE


@contextlib.contextmanager
def _failing(plans: Sequence[_Plan]) -> Iterator[None]:
    """Record an error of the world with the plans that it keeps from being carried out."""
    try:
        yield
    except Error as exc:
        for plan in plans:
            plan.error = exc
