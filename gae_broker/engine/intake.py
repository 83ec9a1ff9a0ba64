"""Takes pull tasks out of a broker and tells the valid copies from those that the ledger suppresses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.task import Copy, Kind
from gae_broker.engine.notes import Notes
from gae_broker.engine.succession import Mover
from gae_broker.ports import Control, Delivery, Fact, Facts, Puller, State

_log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What a copy is worth."""

    VALID = "valid"
    VOID = "void"
    """Done, deleted, or replaced by another copy: it may be removed."""
    PURGED = "purged"
    """Removed by a purge; a row that says otherwise is of an add that was under way then."""
    EARLY = "early"
    """Live, but its eta is not past."""


def judge(copy: Copy, fact: Fact | None, purged_us: int, now_us: int) -> Verdict:
    """What a pull task's copy is worth, by what the ledger knows of the task.

    A row may only suppress a copy: without one, the copy is valid.
    """
    if purged_us > 0 and copy.content.created_us <= purged_us:
        return Verdict.PURGED
    eta_us = copy.eta_us
    if fact is not None:
        if fact.state in {State.DONE, State.DELETED} or fact.live_copy != copy.copy_id:
            return Verdict.VOID
        eta_us = max(eta_us, fact.eta_us)
    return Verdict.VALID if eta_us < now_us else Verdict.EARLY


@dataclass(frozen=True, slots=True)
class Taken:
    """A live copy in hand, and how often the task was leased before."""

    delivery: Delivery
    copy: Copy
    leases: int

    @property
    def order(self) -> tuple[int, str]:
        """Its place among the tasks to lease: eta, then name."""
        return self.copy.eta_us, self.copy.name


def read_until_us(deliveries: Sequence[Delivery]) -> int:
    """Up to when a queue was read, by what it delivered: what entered it before came out before.

    One that was delivered before does not tell, as it may have come back to a place behind others.
    """
    return max((d.message.due_us for d in deliveries if not d.delivery_count), default=0)


class Hand:
    """The deliveries that one lease call holds; each is acked or restored in the end.

    Args:
        puller: where they come from.
        mover: puts away what cannot be read.
        facts: what is known of them.
        queue: the pull queue's name.
        control: the queue's steering.
        now_us: the call's time.
        until_us: how long the names of removed tasks stay taken.
        notes: told how far the queue was read.
    """

    def __init__(
        self,
        puller: Puller,
        mover: Mover,
        facts: Facts,
        queue: str,
        control: Control,
        now_us: int,
        until_us: int,
        notes: Notes,
    ) -> None:
        self._puller = puller
        self._mover = mover
        self._facts = facts
        self._queue = queue
        self._purged_us = control.purged_us
        self._now_us = now_us
        self._until_us = until_us
        self._notes = notes
        self._names: set[str] = set()
        self._unacked: dict[int, Delivery] = {}
        self.taken: list[Taken] = []
        self.early: list[Taken] = []

    def draw(self, count: int) -> None:
        """Take until ``count`` valid copies are in hand or nothing more is due; void ones are acked on the way.

        Raises:
            TransientError: broker or ledger did not answer; what is in hand still has to be restored.
        """
        while len(self.taken) < count:
            wanted = count - len(self.taken)
            deliveries = self._puller.get(Kind.PULL, self._queue, wanted)
            self._unacked |= {id(delivery): delivery for delivery in deliveries}
            if deliveries:
                self._sort(deliveries)
            if len(deliveries) < wanted:
                self._notes.seen(self._queue, self._now_us)
                break
            self._notes.seen(self._queue, read_until_us(deliveries))
        self.taken.sort(key=lambda taken: taken.order)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Do away with copies that are void. A failure is logged only: the ledger suppresses them when they return."""
        for delivery in deliveries:
            self._unacked.pop(id(delivery), None)
        if not deliveries:
            return
        try:
            self._puller.ack(deliveries)
        except errors.TransientError as exc:
            _log.warning("%d void copies come back to queue %s: %s", len(deliveries), self._queue, exc)

    def restore(self) -> None:
        """Return whatever is still in hand."""
        deliveries = list(self._unacked.values())
        self._unacked.clear()
        if not deliveries:
            return
        try:
            self._puller.restore(deliveries)
        except errors.TransientError as exc:
            _log.warning("%d tasks come back to queue %s late: %s", len(deliveries), self._queue, exc)

    def _sort(self, deliveries: Sequence[Delivery]) -> None:
        known = self._facts.facts(self._queue, [delivery.message.key for delivery in deliveries])
        void: list[Delivery] = []
        phantoms: list[str] = []
        copies, unreadable = read(deliveries)
        facts = self._mover.record(self._queue, [copy for _, copy in copies], known)
        for delivery, copy in copies:
            fact = facts.get(copy.name)
            verdict = judge(copy, fact, self._purged_us, self._now_us)
            leases = copy.progress.tries if fact is None else fact.leases
            if verdict in {Verdict.VOID, Verdict.PURGED}:
                void.append(delivery)
                if verdict is Verdict.PURGED and fact is not None and fact.state in {State.CLAIMED, State.LIVE}:
                    phantoms.append(copy.name)
            elif verdict is Verdict.EARLY:
                eta_us = copy.eta_us if fact is None else max(copy.eta_us, fact.eta_us)
                self.early.append(Taken(delivery, replace(copy, eta_us=eta_us), leases))
            elif copy.name not in self._names:
                # A second copy without a row is a lease's that got no further than its publish. Whichever moves
                # first makes a row that voids the other, so only one is taken and the other goes back.
                self._names.add(copy.name)
                self.taken.append(Taken(delivery, copy, leases))
        if phantoms:
            self._facts.delete(self._queue, phantoms, self._now_us, self._until_us, make=False)
        if unreadable:
            buried = self._mover.bury([delivery.message for delivery in unreadable])
            void += [delivery for delivery, stored in zip(unreadable, buried, strict=True) if stored]
        self.ack(void)


def read(deliveries: Sequence[Delivery]) -> tuple[list[tuple[Delivery, Copy]], list[Delivery]]:
    """The copies, and the deliveries that this release cannot read."""
    copies: list[tuple[Delivery, Copy]] = []
    unreadable: list[Delivery] = []
    for delivery in deliveries:
        try:
            copies.append((delivery, wire.decode(delivery.message)))
        except errors.StorageError as exc:
            _log.error("%s; it is put among the dead letters", exc)
            unreadable.append(delivery)
    return copies, unreadable
