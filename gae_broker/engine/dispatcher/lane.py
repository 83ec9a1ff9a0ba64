"""One subscription to one push queue: asks for as many tasks as may begin now, and begins them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TypeVar

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.queue import Queue
from gae_broker.engine.delivery import Attempt, Deliverer, Settled
from gae_broker.engine.dispatcher.identity import has_ended
from gae_broker.engine.dispatcher.settler import Settler
from gae_broker.engine.dispatcher.surroundings import QueueState, Surroundings, monotonic_us
from gae_broker.engine.targets.failures import unanswered
from gae_broker.engine.targets.routing import unknown
from gae_broker.engine.targets.target import Job, Target
from gae_broker.errors import Error
from gae_broker.ports import Control, Delivery, Report, Sink, Subscription

_MOST_AT_ONCE = 1000
_LONGEST_WAIT_S = 1.0
_US = 1_000_000
_FENCE_S = 2.0
"""So long an owner may go on without having heard that it is still the one, and so long its successor waits.

Not where it is known to have been killed: then the successor only leaves that many slots free which it may have filled.
"""

_log = logging.getLogger("gae_broker.dispatch")
T = TypeVar("T")


class Lane:
    """Lives as long as its subscription. Every method is called on the dispatcher's loop.

    It never asks for more deliveries than there are tokens, free concurrency slots and room at the target, and asks
    again only when all it asked for came: what the broker was asked for is then exact, and nothing waits in memory.
    """

    def __init__(self, around: Surroundings, state: QueueState) -> None:
        self.is_lost = False
        self._around = around
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._subscription: Subscription | None = None
        self._deliverer: Deliverer | None = None
        self._settler: Settler | None = None
        self._control = Control()
        self._is_owner = False
        self._is_taking = False
        self._epoch: int | None = None
        self._known_us = 0
        self._supposed = self._supposed_until_us = 0
        self._is_leaving = False
        self._asked = 0
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def queue(self) -> Queue:
        """The queue, as it is configured now."""
        return self._state.queue

    @property
    def is_serving(self) -> bool:
        """Whether this dispatcher is the one that serves the queue."""
        return self._epoch is not None and not self.is_lost

    @property
    def is_idle(self) -> bool:
        """Whether it holds no delivery."""
        return self._held == 0

    # ---------------------------------------------------------------------------------------- life

    async def open(self) -> None:
        """Subscribe.

        Raises:
            Error: the broker refused or cannot be reached.
        """
        call = self._loop.call_soon_threadsafe
        sink = Sink(
            deliver=lambda batch: _ignore(call(self._delivered, batch)),
            owned=lambda owned: _ignore(call(self._owned, owned)),
            lost=lambda error: _ignore(call(self._lost, error)),
        )
        broker = self._around.runtime.broker
        self._subscription = await self.off_loop(partial(broker.subscribe, self.queue.name, sink))
        self._deliverer = Deliverer(self._around.runtime, self._subscription)
        self._settler = Settler(
            self,
            self._deliverer,
            self._subscription,
            ack_waits=self._subscription.ack_waits,
        )
        self.refresh()

    def leave(self) -> None:
        """Take nothing more; what runs goes on until it is done or the lane is closed."""
        self._is_leaving = True
        self.refresh()

    async def close(self) -> None:
        """End the subscription; what is not settled goes back to the queue."""
        self.leave()
        for task in self._tasks:
            task.cancel()
        if self._settler is not None:
            await self._settler.stop()
        if self._subscription is not None:
            await self.off_loop(self._subscription.close)
        self._hold(-self._held)

    def _owned(self, owned: bool) -> None:
        self._is_owner, self._epoch = owned, None
        self.refresh()

    def _lost(self, error: Exception) -> None:
        self.is_lost = True
        self._around.broker.failed(error)
        self.leave()

    # ---------------------------------------------------------------------------------------- steering

    def steer(self, control: Control, asked_us: int) -> None:
        """Apply what operators want, as the ledger had it when it was asked (`monotonic_us`)."""
        self._control = control
        if control.epoch == self._epoch:
            self._known_us = asked_us
        if self._epoch is not None and control.epoch > self._epoch:
            self.is_lost = True  # another dispatcher took over: whether rightly is settled by subscribing anew
            self._is_leaving = True
        self.refresh()

    def report(self) -> tuple[int, Report] | None:
        """The figures of now and the epoch to report them under; ``None`` where another dispatcher does."""
        if self._epoch is None:
            return None
        pacer, now_us = self._state.pacer, monotonic_us()
        rate = 0.0 if self._control.paused or self._is_leaving else pacer.enforced_rate(now_us)
        wall_us = self._around.runtime.clock.now_us()
        return self._epoch, Report(pacer.executed_last_minute(now_us), self._state.in_hand, rate, wall_us)

    def refresh(self) -> None:
        """Look at everything anew: ask for tasks if it may, and otherwise for none."""
        if self._is_owner and self._epoch is None and not self._is_leaving and not self._is_taking:
            self._is_taking = True
            self._spawn(self._take_ownership())
        if self._is_running:
            self.ask()
        elif self._asked:
            self._demand(0)

    @property
    def _is_running(self) -> bool:
        return (
            self._is_known_owner
            and not self._is_leaving
            and not self._control.paused
            and self._around.ledger.is_up
            and self.queue.rate_per_s > 0
        )

    @property
    def _is_known_owner(self) -> bool:
        """Whether the ledger said lately that nobody else owns the queue.

        The broker has one consumer at a time, but a process that stood still, or that the broker cannot reach any
        more, does not know yet that it is not the one: it must not begin what it received before.
        """
        return self._epoch is not None and monotonic_us() - self._known_us <= _FENCE_S * _US

    async def _take_ownership(self) -> None:
        try:
            await self._own()
        except Error as exc:
            self._around.failed(exc)  # the next tick tries again
            return
        finally:
            self._is_taking = False
        self.refresh()

    async def _own(self) -> None:
        ledger, name = self._around.runtime.ledger, self.queue.name
        before = await self.off_loop(partial(ledger.control, name))
        known_us = monotonic_us()
        epoch = await self.off_loop(partial(ledger.take_ownership, name, self._around.owner))
        is_first = before.epoch == 0
        is_successor = before.epoch not in {0, self._state.epoch} and not _left(before.report)
        self._state.epoch = epoch
        if is_successor and await self.off_loop(partial(has_ended, before.owner)):
            self._suppose(before.report)
        elif is_successor:
            await asyncio.sleep(_FENCE_S)  # until the one before knows, if it still lives; its attempts may end too
            known_us = monotonic_us()
            before = await self.off_loop(partial(ledger.control, name))
            if before.epoch != epoch:
                self.is_lost = self._is_leaving = True
        if not self._is_owner or self._is_leaving:
            return
        if is_first:
            self._state.pacer.own_first(monotonic_us())
        else:
            reported_us = 0 if before.report is None else before.report.reported_us
            idle_us = self._around.runtime.clock.now_us() - reported_us if reported_us else 0
            self._state.pacer.take_over(idle_us / _US, monotonic_us())
        self._epoch, self._control, self._known_us = epoch, before, known_us

    def _suppose(self, report: Report | None) -> None:
        """The dispatcher before was killed. What it began may still run, and takes slots for as long as others wait.

        Nobody knows how much that is: at most what was in flight when it reported, and what the rate allowed since.
        """
        begun = math.inf
        if report is not None:
            since_s = max(self._around.runtime.clock.now_us() - report.reported_us, 0) / _US
            begun = report.in_flight + self.queue.bucket_size + self.queue.rate_per_s * since_s
        self._supposed = math.ceil(min(begun, self.queue.max_concurrent))
        self._supposed_until_us = monotonic_us() + round(_FENCE_S * _US)
        self._loop.call_later(_FENCE_S, self.refresh)

    # ---------------------------------------------------------------------------------------- asking

    def _slots(self) -> int:
        """How many more attempts may run at the same time."""
        supposed = self._supposed if monotonic_us() < self._supposed_until_us else 0
        return max(self.queue.max_concurrent - self._state.in_hand - supposed, 0)

    def ask(self) -> None:
        """Ask for as many tasks as may begin now; if none may, come back when one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asked or not self._is_running:
            return
        target = self._around.targets.find(self.queue.target)
        room = _MOST_AT_ONCE if target is None else target.room()
        limit = min(self._slots(), room, _MOST_AT_ONCE)
        grant = self._state.pacer.grant(limit, monotonic_us())
        if grant.count:
            self._demand(grant.count)
        elif limit > 0:
            self._timer = self._loop.call_later(min(grant.wait_s, _LONGEST_WAIT_S), self.ask)
        elif room <= 0 and target is not None:
            target.when_room(self.ask)

    def _demand(self, count: int) -> None:
        if self._subscription is None:
            return
        self._asked = count
        try:
            self._subscription.demand(count)
        except Error as exc:
            self._asked = 0
            self.failed(exc)

    def _delivered(self, batch: list[Delivery]) -> None:
        self._asked = max(self._asked - len(batch), 0)
        slots = self._slots()
        self._hold(len(batch))
        # Asked for less meanwhile (a pause, a lower rate), or not the owner any more: what is too much goes back.
        count = self._state.pacer.take(min(len(batch), slots), monotonic_us()) if self._is_running else 0
        if self._settler is not None and batch[count:]:
            self._settler.restore(batch[count:])
        if count:
            self._spawn(self._admit(batch[:count]))
        self.ask()

    async def _admit(self, batch: list[Delivery]) -> None:
        if self._deliverer is None or self._settler is None:
            return
        deliverer, queue, control = self._deliverer, self.queue, self._control
        try:
            attempts = await self.off_loop(lambda: deliverer.admit(queue, batch, control))
        except Exception as exc:  # noqa: BLE001 - whatever it is, these deliveries must not be forgotten
            if not isinstance(exc, Error):
                _log.error("deliveries of queue %s could not be admitted", queue.name, exc_info=exc)
                await asyncio.sleep(_LONGEST_WAIT_S)
            self.failed(exc)
            self._state.pacer.give_back(len(batch), monotonic_us())
            self._settler.restore(batch)
            return
        self._state.pacer.give_back(len(batch) - len(attempts), monotonic_us())
        self._hold(len(attempts) - len(batch))
        if self._is_leaving or not self._is_known_owner:
            self._state.pacer.give_back(len(attempts), monotonic_us())
            self._settler.restore([attempt.delivery for attempt in attempts])
        else:
            self._begin(attempts)
        self.ask()

    # ---------------------------------------------------------------------------------------- attempts

    def _begin(self, attempts: list[Attempt]) -> None:
        by_target: dict[Target, list[Job]] = {}
        for attempt in attempts:
            wanted = attempt.request.target
            target = self._around.targets.find(wanted)
            if target is None:
                clock = self._around.runtime.clock
                self._ended(attempt, unanswered(unknown(wanted, self._around.targets.names), clock.now_us(), clock))
            else:
                by_target.setdefault(target, []).append(Job(attempt.request, partial(self._ended, attempt)))
        for target, jobs in by_target.items():
            target.start(jobs)

    def _ended(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if self._settler is None:
            return
        if outcome is None:
            self._state.pacer.give_back(1, monotonic_us())
            self._settler.restore([attempt.delivery])
            if self._asked:
                self._demand(0)  # asked for when the target had more room; once this is back, ask for what it has now
        else:
            self._state.pacer.finished(outcome.status, monotonic_us())
            self._settler.settle(attempt, outcome)

    # ---------------------------------------------------------------------------------------- the settler's desk

    async def off_loop(self, call: Callable[[], T]) -> T:
        """As `Desk.off_loop`."""
        return await self._around.off_loop(call)

    def settled(self, batch: list[Settled]) -> None:
        """As `Desk.settled`."""
        if batch:
            self._around.broker.worked()
        self._hold(-len(batch))
        for settled in batch:
            self._around.tell(settled)
        self.ask()

    def returned(self, count: int) -> None:
        """As `Desk.returned`."""
        self._hold(-count)
        self.ask()

    def failed(self, error: Exception) -> None:
        """As `Desk.failed`."""
        self._around.failed(error)
        self.refresh()

    # ----------------------------------------------------------------------------------------

    def _hold(self, count: int) -> None:
        self._held += count
        self._state.in_hand += count

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _left(report: Report | None) -> bool:
    """Whether a queue's last dispatcher said that it begins nothing more and that nothing runs."""
    return report is not None and not report.in_flight and not report.enforced_rate


def _ignore(_: object) -> None:
    """A sink's functions answer nothing."""
