"""Leases pull tasks.

App Engine's only lease state is the task's eta: a leased task's eta is the end of its lease. Untagged tasks are
copies in the broker, parked until that eta; tagged ones are rows of the ledger. A lease merges both by eta.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gae_broker import errors
from gae_broker.domain import retry, wire
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Content, Copy, Progress
from gae_broker.engine.adoption import Adopter
from gae_broker.engine.catalog import Catalog, require_pull
from gae_broker.engine.intake import Hand, Taken
from gae_broker.engine.lease_change import LeaseChanger
from gae_broker.engine.names import Namer
from gae_broker.engine.notes import Notes
from gae_broker.engine.succession import Mover, Step, Succession
from gae_broker.ports import Broker, Clock, Held, Ledger
from gae_broker.settings import Settings

_log = logging.getLogger(__name__)
_US = 1_000_000
_WORTH_PARKING_US = _US
"""A copy that came earlier than this before its eta is parked again; a nearer one just goes back to the queue."""
_BATCH_BYTES = 16 * 1024 * 1024
_FEWEST, _FIRST, _MOST = 8, 16, 64
"""Tasks in a batch of `Leaser.lease_in_batches`: with the largest payloads, while nothing is known, with small ones."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One lease of a batch: the queue, its limit, before when a task must be due, and when the leases end.

    ``by_tag``: of one tag; ``tag`` tells which, ``None`` that of the task with the earliest eta. ``untagged``: only
    tasks without one.
    """

    queue: Queue
    max_tasks: int
    now_us: int
    eta_us: int
    by_tag: bool = False
    tag: str | None = None
    untagged: bool = False


@dataclass(frozen=True, slots=True)
class _Leased:
    """What a call leased, and how many tasks it met in doing so: those that were leased too often count too."""

    copies: list[Copy]
    met: int


class Leaser:
    """Leases pull tasks, and changes leases.

    Args:
        broker: holds the untagged tasks.
        ledger: holds the tagged tasks, and the facts.
        catalog: which queues there are.
        clock, namer: times and copy ids.
        mover: replaces copies.
        notes: told how far queues were read.
        settings: how long names stay taken.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        ledger: Ledger,
        catalog: Catalog,
        clock: Clock,
        namer: Namer,
        mover: Mover,
        notes: Notes,
        settings: Settings,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock
        self._namer = namer
        self._mover = mover
        self._notes = notes
        self._tombstone_us = round(settings.tombstone_s * _US)
        self._adopter = Adopter(broker, ledger, catalog, clock, namer, mover)
        self._changer = LeaseChanger(broker, ledger, clock, namer, mover)

    def lease(
        self,
        queue: str,
        lease_us: int,
        max_tasks: int,
        *,
        by_tag: bool = False,
        tag: str | None = None,
    ) -> list[Copy]:
        """Lease up to ``max_tasks`` tasks whose eta is past, in (eta, name) order; never waits for any.

        A task that was leased as often as its retry limit allows is deleted instead, and counts as one of the
        ``max_tasks``. As in the reference implementation a pull task has no age, so that a queue with an age limit
        too drops nothing.

        Args:
            queue: a pull queue's name.
            lease_us: how long; 0 is allowed.
            max_tasks: how many at most.
            by_tag: lease tasks of one tag only.
            tag: which; ``None`` or empty is that of the task with the earliest eta, untagged if it has none.

        Returns:
            The tasks; ``eta_us`` is the lease's end, ``progress.tries`` how often the task was leased, this lease
            included. Nothing from a paused queue.

        Raises:
            UnknownQueueError, InvalidQueueModeError: no such queue, or a push queue.
            TransientError: broker or ledger did not answer, and nothing is known to be leased.
        """
        config = require_pull(self._catalog, queue)
        now_us = self._clock.now_us()
        return self._lease(_Call(config, max_tasks, now_us, now_us + lease_us, by_tag, tag or None)).copies

    def lease_in_batches(
        self, queue: str, lease_us: int, max_tasks: int, *, by_tag: bool = False, tag: str | None = None
    ) -> Iterator[list[Copy]]:
        """As `lease`, but a few tasks at a time, so that any number of large payloads passes through little memory.

        A batch is leased when it is asked for, and for the whole time from then on; who asks no more leaves the rest
        to others. What was leased since the first batch is passed over, so that no task comes twice, however short
        its lease. The lists are the caller's: what is taken out of one is not kept here.

        Yields:
            Lists of tasks, none of them empty, of up to 64 tasks and about 16 MB.

        Raises:
            UnknownQueueError, InvalidQueueModeError, TransientError: as `lease`, of the batch that was asked for;
                earlier ones stay leased.
        """
        config = require_pull(self._catalog, queue)
        due_us = self._clock.now_us()
        call = _Call(config, _FIRST, due_us, due_us, by_tag, tag or None)
        while max_tasks > 0:
            eta_us = self._clock.now_us() + lease_us
            call = replace(call, max_tasks=min(call.max_tasks, max_tasks), eta_us=eta_us)
            leased = self._lease(call)
            full = leased.met >= call.max_tasks
            max_tasks -= leased.met
            if leased.copies:
                call = _next_batch(call, leased.copies)
                yield leased.copies
            elif by_tag:
                return  # all that it met were leased too often, and which tag was theirs is not known any more
            if not full:
                return

    def _lease(self, call: _Call) -> _Leased:
        queue = call.queue.name
        control = self._ledger.control(queue)
        if control.paused:
            return _Leased([], 0)
        if call.by_tag and call.tag:
            return self._lease_held(call, call.tag, call.max_tasks)
        self._adopter.adopt(queue, control, call.max_tasks)
        wanted = 1 if call.by_tag else call.max_tasks
        waiting = [] if call.untagged else self._ledger.held_ready(queue, wanted, call.now_us)
        until_us = call.now_us + self._tombstone_us
        hand = Hand(self._broker, self._mover, self._ledger, queue, control, call.now_us, until_us, self._notes)
        try:
            if call.by_tag and waiting:
                hand.draw(1)
                if not hand.taken or waiting[0][:2] < hand.taken[0].order:
                    return self._lease_held(call, waiting[0][2], call.max_tasks)
                waiting = []
            hand.draw(call.max_tasks)
            return self._lease_merged(call, hand, waiting)
        finally:
            hand.restore()

    def modify(
        self, queue: str, name: str, expected_eta_us: int | None, lease_us: int, fallback: Content | None
    ) -> int:
        """Let a lease end ``lease_us`` from now, at once with 0; works on a task that was never leased too.

        Args:
            queue: a pull queue's name.
            name: the task's name.
            expected_eta_us: the task's eta as the caller knows it; who knows another one does not hold the lease.
                ``None``: whichever it has, if it is not past.
            lease_us: how long from now.
            fallback: the task as the caller knows it, for brokers that cannot look a task up; ``None``: not at all.

        Returns:
            The new eta.

        Raises:
            UnknownQueueError, InvalidQueueModeError, QueuePausedError: what the queue does not allow.
            UnknownTaskError, TombstonedTaskError: there is no such task, or no more.
            TaskLeaseExpiredError: its eta is another one, or past.
            UnsupportedError: the broker cannot look the task up, and no fallback was given.
            TransientError: broker or ledger did not answer; the lease may have been changed.
        """
        require_pull(self._catalog, queue)
        return self._changer.change(queue, name, expected_eta_us, lease_us, fallback)

    def _lease_merged(self, call: _Call, hand: Hand, waiting: Sequence[tuple[int, str, str]]) -> _Leased:
        """Lease the first tasks of both sources, as if they were one list in (eta, name) order."""
        places = {name: (eta_us, name) for eta_us, name, _ in waiting}
        order = sorted([*(taken.order for taken in hand.taken), *places.values()])[: call.max_tasks]
        chosen = set(order)
        leased = self._lease_taken(call, hand, [taken for taken in hand.taken if taken.order in chosen])
        count = sum(place in chosen for place in places.values())
        if count:
            try:
                tagged = self._lease_held(call, None, count).copies
            except errors.TransientError as exc:
                if not leased:
                    raise
                _log.warning("tagged tasks of queue %s were left for another lease: %s", call.queue.name, exc)
                tagged = []
            leased += [(places.get(copy.name, (call.now_us, copy.name)), copy) for copy in tagged]
        return _Leased([copy for _, copy in sorted(leased, key=lambda entry: entry[0])], len(order))

    def _lease_taken(self, call: _Call, hand: Hand, chosen: Sequence[Taken]) -> list[tuple[tuple[int, str], Copy]]:
        """Park the successors of copies in hand until the lease ends; each with the place it had in the order."""
        living = self._drop_exhausted(call, hand, chosen)
        early = [taken for taken in hand.early if taken.copy.eta_us - call.now_us > _WORTH_PARKING_US]
        successions = [self._succession(taken, call.eta_us, taken.leases + 1) for taken in living]
        successions += [self._succession(taken, taken.copy.eta_us, taken.leases) for taken in early]
        steps, error = self._mover.move(call.queue.name, successions)
        hand.ack(
            [taken.delivery for taken, step in zip([*living, *early], steps, strict=True) if step is not Step.UNSTORED],
        )
        leased = [
            (taken.order, succession.new)
            for taken, succession, step in zip(living, successions, steps, strict=False)
            if step is Step.MOVED
        ]
        if error is not None and not leased:
            raise error
        return leased

    def _succession(self, taken: Taken, eta_us: int, leases: int) -> Succession:
        new = taken.copy.successor(self._namer.copy_id(), eta_us, Progress(tries=leases))
        return Succession(taken.copy.copy_id, new, leases)

    def _drop_exhausted(self, call: _Call, hand: Hand, chosen: Sequence[Taken]) -> list[Taken]:
        """Delete what was leased often enough; the others."""
        living: list[Taken] = []
        exhausted: list[Taken] = []
        for taken in chosen:
            limits = taken.copy.content.retry or call.queue.retry
            (living if retry.may_retry(limits, taken.leases + 1, 0) else exhausted).append(taken)
        if exhausted:
            self._delete_exhausted(call, [taken.copy.name for taken in exhausted])
            hand.ack([taken.delivery for taken in exhausted])
        return living

    def _delete_exhausted(self, call: _Call, names: Sequence[str]) -> None:
        for name in names:
            _log.warning("task %s in queue %s reached its task_retry_limit and is deleted", name, call.queue.name)
        self._ledger.delete(call.queue.name, names, call.now_us, call.now_us + self._tombstone_us, make=True)

    def _lease_held(self, call: _Call, tag: str | None, limit: int) -> _Leased:
        """Lease tasks that the ledger holds, of one tag or of any."""
        leased: list[Copy] = []
        exhausted: list[str] = []
        found = self._ledger.lease_held(call.queue.name, tag, limit, call.now_us, call.eta_us)
        for held in found:
            copy = _copy_of(held)
            limits = copy.content.retry or call.queue.retry
            if retry.may_retry(limits, held.leases, 0):
                leased.append(copy)
            else:
                exhausted.append(copy.name)
        if exhausted:
            self._delete_exhausted(call, exhausted)
        return _Leased(leased, len(found))


def _next_batch(call: _Call, leased: Sequence[Copy]) -> _Call:
    """The call for the tasks behind these: of the same tag, and as many as will probably fit."""
    size = _BATCH_BYTES // max(1, *(len(copy.content.payload) for copy in leased))
    call = replace(call, max_tasks=min(max(size, _FEWEST), _MOST))
    if not call.by_tag or call.tag:
        return call
    tag = leased[0].content.tag
    return replace(call, tag=tag) if tag else replace(call, by_tag=False, untagged=True)


def _copy_of(held: Held) -> Copy:
    return replace(wire.decode(held.message), eta_us=held.eta_us, progress=Progress(tries=held.leases))
