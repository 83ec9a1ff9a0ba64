"""Replaces copies of tasks by their successors: publish and await the confirm, then compare-and-swap.

This is the first half of design section 5. The second, doing away with the old copy, is the caller's: only it knows
whether it holds a delivery to ack or a stored message to discard.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.task import Copy, Kind
from gae_broker.ports import Browser, Clock, Fact, Facts, Move, Publisher, State

_log = logging.getLogger(__name__)
_US = 1_000_000
_LONG_US = 10 * _US


def keep_after_us(browser: Browser, kind: Kind, now_us: int) -> int | None:
    """From which due time on the ledger keeps the messages of live tasks, ``None``: it keeps none.

    So that push tasks which wait long in a broker that cannot be looked into can be shown, and run at once. Pull tasks
    wait because they are leased: whoever holds the lease knows them.
    """
    return None if browser.sees_all or kind is not Kind.PUSH else now_us + _LONG_US


class Carrier(Publisher, Browser, Protocol):
    """A broker, as far as it stores messages and removes them by id."""


class Step(StrEnum):
    """How far a succession came."""

    MOVED = "moved"
    """The new copy is the live one; the old one is void."""
    LOST = "lost"
    """The old copy was not the live one any more; both are void."""
    UNSTORED = "unstored"
    """The new copy is not known to be stored; the old one is as it was."""


@dataclass(frozen=True, slots=True)
class Succession:
    """A copy, the one that shall take its place, and the row's lease count from then on.

    ``expected_eta_us``: if given, the row's eta must be this one.
    """

    old_copy: str
    new: Copy
    leases: int
    expected_eta_us: int | None = None


class Mover:
    """Performs successions.

    Args:
        carrier: where the copies are.
        facts: which copy is the live one.
        clock: the time.
        deadline_s: how long a publish may take.
    """

    def __init__(self, carrier: Carrier, facts: Facts, clock: Clock, deadline_s: float) -> None:
        self._carrier = carrier
        self._facts = facts
        self._clock = clock
        self._deadline_s = deadline_s

    def move(self, queue: str, successions: Sequence[Succession]) -> tuple[list[Step], Exception | None]:
        """Replace copies of one queue, each for itself: one publish, one transaction.

        Returns:
            How far each came, and why the first that is `Step.UNSTORED` could not be published.

        Raises:
            TransientError: the ledger did not answer; which copies are live is not known, so every old one must
                be kept, and a later look at the ledger tells.
        """
        if not successions:
            return [], None
        messages = [wire.encode(step.new) for step in successions]
        results = self._carrier.publish(messages, self._deadline_s)
        now_us = self._clock.now_us()
        keep_us = keep_after_us(self._carrier, successions[0].new.content.kind, now_us)
        moves = [
            _move(step, message if keep_us is not None and message.due_us > keep_us else None)
            for step, message, error in zip(successions, messages, results, strict=True)
            if error is None
        ]
        swapped = iter(self._facts.advance(queue, moves, now_us))
        steps = [Step.UNSTORED if error else Step.MOVED if next(swapped) else Step.LOST for error in results]
        orphans = [
            (step.new.content.kind, step.new.copy_id)
            for step, result in zip(successions, steps, strict=True)
            if result is not Step.MOVED
        ]
        if orphans:
            self.discard(orphans[0][0], queue, [copy_id for _, copy_id in orphans])
        return steps, next((error for error in results if error is not None), None)

    def record(self, queue: str, copies: Iterable[Copy], facts: Mapping[str, Fact]) -> dict[str, Fact]:
        """What is known of delivered copies, once those are recorded that came before their own succession was.

        A successor that is due soon may be delivered between its publish and the swap of the row, which still names
        its parent then. Whoever meets it swaps the row, or the only copy that is valid from then on would be lost;
        the one who published it finds that done. The first successor of a task without a row makes the row, which
        voids the original too, should that come back.

        Raises:
            TransientError: the ledger did not answer.
        """
        known = dict(facts)
        moves = [_arrival(copy) for copy in copies if _is_unrecorded(copy, facts.get(copy.name))]
        if not moves:
            return known
        now_us = self._clock.now_us()
        for move, swapped in zip(moves, self._facts.advance(queue, moves, now_us), strict=True):
            if swapped:
                known[move.name] = Fact(
                    State.LIVE, move.new_copy, move.eta_us, move.leases, until_us=0, changed_us=now_us, held=False
                )
        return known

    def bury(self, messages: Sequence[Message]) -> list[bool]:
        """Put messages that this release cannot read among the dead, as they are; whether each is stored there."""
        dead = [replace(message, kind=Kind.DEAD, due_us=0) for message in messages]
        return [error is None for error in self._carrier.publish(dead, self._deadline_s)]

    def discard(self, kind: Kind, queue: str, copy_ids: Sequence[str]) -> None:
        """Remove void copies from the broker, which only saves space: the ledger suppresses them anyway."""
        try:
            self._carrier.discard(kind, queue, copy_ids)
        except errors.Error as exc:
            _log.info("%d void copies stay in queue %s until they are due: %s", len(copy_ids), queue, exc)


def _is_unrecorded(copy: Copy, fact: Fact | None) -> bool:
    if copy.parent is None:
        return False
    # Without a row it is an unnamed task's first successor, or the ledger was lost. It is valid as it stands; but if it
    # were done before its publisher made the row, that row would wait for ever for a copy that is gone.
    return fact is None or (fact.live_copy == copy.parent and fact.state in {State.CLAIMED, State.LIVE})


def _arrival(copy: Copy) -> Move:
    """The swap that a delivered copy's publisher has yet to make."""
    leases = copy.progress.tries if copy.content.kind is Kind.PULL else 0
    return _move(Succession(copy.parent or "", copy, leases), None)


def _move(step: Succession, kept: Message | None) -> Move:
    return Move(
        name=step.new.name,
        old_copy=step.old_copy,
        new_copy=step.new.copy_id,
        eta_us=step.new.eta_us,
        leases=step.leases,
        named=step.new.content.named,
        created_us=step.new.content.created_us,
        expected_eta_us=step.expected_eta_us,
        message=kept,
    )
