"""One batch of deliveries, from the broker's hands to an attempt and back: synchronous, no thread, no loop.

The order is the protocol of design section 5: publish what takes a copy's place and await the confirm, then swap
the row, then ack. Whatever fails on the way, the copies it concerns stay unacked and come back: at least once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

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
from gae_broker.domain.task import Copy, Kind
from gae_broker.domain.wire import decode, encode
from gae_broker.errors import Error, StorageError
from gae_broker.ports import Control, Delivery, Fact, Move, State

if TYPE_CHECKING:
    from gae_broker.domain.queue import Queue
    from gae_broker.engine.runtime import Runtime

__all__ = ["Attempt", "Deliverer", "Hands", "HttpRequest", "Outcome", "Settled"]

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

    ``error`` is ``None`` once it is settled; otherwise the broker still holds the delivery as unacked: settle it
    again, or restore it, in which case the task runs again.
    """

    attempt: Attempt
    outcome: Outcome
    conclusion: Conclusion
    error: Exception | None


@dataclass(slots=True)
class _Step:
    """What to do about one delivery; ``error`` is set where it could not be done."""

    delivery: Delivery
    message: Message | None = None
    move: Move | None = None
    finish: tuple[str, str] | None = None
    error: Exception | None = None


class Deliverer:
    """Admits deliveries and settles attempts, in batches of any size.

    Args:
        runtime: broker, ledger, clock and the rest.
        hands: where to ack and restore; the runtime's broker if not given.
    """

    def __init__(self, runtime: Runtime, hands: Hands | None = None) -> None:
        self._runtime = runtime
        self._hands: Hands = runtime.broker if hands is None else hands

    def admit(self, queue: Queue, deliveries: Sequence[Delivery], control: Control | None = None) -> list[Attempt]:
        """The deliveries that may run now; the others are dropped, put back until they are due, or given up.

        ``control`` saves a query where the caller knows the queue's steering.

        Raises:
            Error: the ledger or the broker cannot be asked; no delivery was acked, restore them all.
        """
        if not deliveries:
            return []
        now_us = self._runtime.clock.now_us()
        control = self._runtime.ledger.control(queue.name) if control is None else control
        facts = self._runtime.ledger.facts(queue.name, [d.message.key for d in deliveries])
        attempts: list[Attempt] = []
        steps: list[_Step] = []
        for delivery in deliveries:
            admitted = self._admit_one(queue, delivery, facts.get(delivery.message.key), control, now_us)
            if isinstance(admitted, Attempt):
                attempts.append(admitted)
            else:
                steps.append(admitted)
        self._carry_out(queue.name, steps)
        failed = [step.delivery for step in steps if step.error is not None]
        if failed:
            self._hands.restore(failed)
        return attempts

    def settle(self, queue: Queue, attempts: Sequence[tuple[Attempt, Outcome]]) -> list[Settled]:
        """Bring a batch of attempts to its end: retry copies and dead letters first, then the rows, then one ack.

        Raises nothing for a failing broker or ledger: each attempt's `Settled` tells.
        """
        conclusions = [self._conclude(queue, attempt, outcome) for attempt, outcome in attempts]
        steps = [
            self._step(attempt, conclusion) for (attempt, _), conclusion in zip(attempts, conclusions, strict=True)
        ]
        self._carry_out(queue.name, steps)
        return [
            Settled(attempt, outcome, conclusion, step.error)
            for (attempt, outcome), conclusion, step in zip(attempts, conclusions, steps, strict=True)
        ]

    def _admit_one(
        self,
        queue: Queue,
        delivery: Delivery,
        fact: Fact | None,
        control: Control,
        now_us: int,
    ) -> Attempt | _Step:
        try:
            copy = decode(delivery.message)
        except StorageError:
            # Unreadable here, not worthless: kept among the dead as it is, instead of failing for ever.
            return _Step(delivery, message=replace(delivery.message, kind=Kind.DEAD, due_us=0))
        count = delivery.delivery_count
        decision = decide(copy, count, _knowledge(copy, fact, control), queue.retry, now_us)
        if decision.verdict is Verdict.DROP:
            return _Step(delivery)
        if decision.verdict is Verdict.DELAY:
            again = copy.successor(self._runtime.names.copy_id(), copy.eta_us, copy.progress)
            return _Step(delivery, encode(again), _move(copy, again))
        if decision.verdict is Verdict.GIVE_UP:
            given_up = abandon(copy, count, decision.reason, now_us, self._runtime.names.copy_id())
            return _Step(delivery, encode(given_up.copy, Kind.DEAD), finish=(copy.name, copy.copy_id))
        default_us = round(self._runtime.settings.dispatch_deadline_s * _US)
        request = headers.request(copy, count, queue.target, default_us)
        return Attempt(copy, delivery, request, fact is not None)

    def _conclude(self, queue: Queue, attempt: Attempt, outcome: Outcome) -> Conclusion:
        new_copy_id = "" if outcome.success else self._runtime.names.copy_id()
        return conclude(attempt.copy, attempt.delivery.delivery_count, outcome, queue.retry, new_copy_id)

    def _step(self, attempt: Attempt, conclusion: Conclusion) -> _Step:
        copy = attempt.copy
        if isinstance(conclusion, Retry):
            return _Step(attempt.delivery, encode(conclusion.copy), _move(copy, conclusion.copy))
        # Without a row and a name to bar there is nothing to record, and the ledger is spared a write a task.
        finish = (copy.name, copy.copy_id) if attempt.has_row or copy.content.named else None
        if isinstance(conclusion, GiveUp):
            return _Step(attempt.delivery, encode(conclusion.copy, Kind.DEAD), finish=finish)
        return _Step(attempt.delivery, finish=finish)

    def _carry_out(self, queue: str, steps: Sequence[_Step]) -> None:
        """Do all steps in the protocol's order; a step that fails is left out of what comes after."""
        self._publish([step for step in steps if step.message is not None])
        recorded = [step for step in steps if step.error is None and (step.move or step.finish)]
        try:
            self._record(queue, recorded)
        except Error as exc:
            _fail(recorded, exc)
        concluded = [step for step in steps if step.error is None]
        if not concluded:
            return
        try:
            self._hands.ack([step.delivery for step in concluded])
        except Error as exc:
            _fail(concluded, exc)

    def _publish(self, steps: Sequence[_Step]) -> None:
        if not steps:
            return
        messages = [step.message for step in steps if step.message is not None]
        try:
            errors = self._runtime.broker.publish(messages, self._runtime.settings.publish_deadline_s)
        except Error as exc:
            _fail(steps, exc)
            return
        for step, error in zip(steps, errors, strict=True):
            step.error = error

    def _record(self, queue: str, steps: Sequence[_Step]) -> None:
        now_us = self._runtime.clock.now_us()
        moves = [step.move for step in steps if step.move is not None]
        finished = [step.finish for step in steps if step.finish is not None]
        if moves:
            # A move that does not take place means that the copy was deleted, purged or replaced meanwhile: its
            # successor is then no live copy and is dropped when it is delivered.
            self._runtime.ledger.advance(queue, moves, now_us)
        if finished:
            until_us = now_us + round(self._runtime.settings.tombstone_s * _US)
            self._runtime.ledger.finish(queue, finished, now_us, until_us)


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


def _move(old: Copy, new: Copy) -> Move:
    content = old.content
    return Move(content.name, old.copy_id, new.copy_id, new.eta_us, 0, content.named, content.created_us)


def _fail(steps: Sequence[_Step], error: Exception) -> None:
    for step in steps:
        step.error = error
