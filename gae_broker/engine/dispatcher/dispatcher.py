"""Runs push queues: one loop, a lane for each queue, and once a second a look at everything that may have changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.setting_values import Processes
from gae_broker.engine.dispatcher.events import LogObserver, Observer
from gae_broker.engine.dispatcher.identity import own_name
from gae_broker.engine.dispatcher.lane import Lane
from gae_broker.engine.dispatcher.pacer import Pacer
from gae_broker.engine.dispatcher.surroundings import QueueState, Surroundings, monotonic_us
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.targets.making import make_targets
from gae_broker.errors import Error, InvalidQueueModeError
from gae_broker.ports import Control, Report

_TICK_S = 1.0
_HOUSEWORK_S = 10.0
_REPORT_AT_LEAST_S = 5.0
_THREADS = 8
_POLL_S = 0.05

_log = logging.getLogger("gae_broker.dispatch")


class Dispatcher:
    """Sends the tasks of push queues to their targets, at each queue's rate and concurrency.

    Several may run, on one machine or on many: each queue is served by one of them at a time, and another takes
    over when that one ends.

    Args:
        runtime: broker, ledger, queues and settings. It is not closed here.
        queues: the push queues to serve; ``None``: all, those that queue.yaml gains later too.
        observer: told of every attempt; by default each is logged.
        processes: how many processes call ``module:app`` targets; 1 is this one, more (or bounds) is a pool of
            worker processes; the settings' by default.
        threads: requests at a time in each of them; the settings' by default.
        drain_timeout_s: how long running attempts may go on after `stop`; the settings' by default.
    """

    def __init__(
        self,
        runtime: Runtime,
        queues: Sequence[str] | None = None,
        observer: Observer | None = None,
        *,
        processes: Processes | int | None = None,
        threads: int | None = None,
        drain_timeout_s: float | None = None,
    ) -> None:
        settings = runtime.settings
        if processes is None:
            processes = settings.processes
        elif isinstance(processes, int):
            processes = Processes(processes, processes)
        self._runtime = runtime
        self._names = None if queues is None else frozenset(queues)
        self._drain_s = settings.drain_timeout_s if drain_timeout_s is None else drain_timeout_s
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="gae-broker dispatch")
        self._targets = make_targets(settings, processes, threads or settings.threads, runtime.clock)
        self._around = Surroundings(runtime, self._targets, observer or LogObserver(), self._executor, own_name())
        self._states: dict[str, QueueState] = {}
        self._lanes: dict[str, Lane] = {}
        self._leaving: set[Lane] = set()
        self._reported: dict[str, tuple[Report, float]] = {}
        self._served: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._next_housework_s = 0.0
        self._cleaning: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------------------------------- life

    async def run(self) -> None:
        """Serve until `stop` is called, then drain. A dispatcher runs once.

        Raises:
            UnknownQueueError: one of the queues named does not exist.
            InvalidQueueModeError: one of them is a pull queue.
            ConfigurationError: a target cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._check_names()
            await self._targets.open()
            while not self._stop.is_set():
                await self._tick()
                await _first(self._stop, _TICK_S)
            await self._drain()
        finally:
            await self._close()

    def stop(self) -> None:
        """Take no more tasks and end when those that run are done; called a second time, end at once.

        May be called from any thread and from a signal handler of the loop.
        """
        if self._loop is None:
            self._stop.set()
        else:
            self._loop.call_soon_threadsafe(self._stop_now)

    def _stop_now(self) -> None:
        if self._stop.is_set():
            self._force.set()
        self._stop.set()

    async def _drain(self) -> None:
        lanes = [*self._lanes.values(), *self._leaving]
        for lane in lanes:
            lane.leave()
        for target in self._targets:
            target.withdraw()
        end_s = time.monotonic() + self._drain_s
        while not all(lane.is_idle for lane in lanes) and time.monotonic() < end_s and not self._force.is_set():
            await _first(self._force, _POLL_S)
        await self._exchange()  # a last report: nothing is in flight any more
        left = [lane.queue.name for lane in lanes if not lane.is_idle]
        if left:
            _log.warning("attempts did not end in time, their tasks go back to the queue: %s", ", ".join(left))

    async def _close(self) -> None:
        await self._targets.close()
        if self._cleaning is not None:
            await self._cleaning
        lanes = [*self._lanes.values(), *self._leaving]
        await asyncio.gather(*(self._end(lane) for lane in lanes))
        if lanes:
            await self._exchange()  # what was in hand is back in its queue: nobody must count it twice
        self._executor.shutdown(wait=False)

    # ---------------------------------------------------------------------------------------- once a second

    async def _tick(self) -> None:
        await self._around.off_loop(self._runtime.catalog.reload_if_changed)
        await self._sync()
        await self._exchange()
        for lane in self._lanes.values():
            lane.refresh()
        self._tell_served()
        for lane in [lane for lane in self._leaving if lane.is_idle]:
            self._leaving.discard(lane)
            await self._end(lane)
        if time.monotonic() >= self._next_housework_s:
            self._next_housework_s = time.monotonic() + _HOUSEWORK_S
            if self._cleaning is None or self._cleaning.done():
                # Beside the ticks, which must not wait for it: owners have to hear from the ledger.
                self._cleaning = asyncio.create_task(self._housework())

    async def _sync(self) -> None:
        """Have a lane for each queue that is to be served, and none for others."""
        queues = {queue.name: queue for queue in self._wanted()}
        for name in [name for name, lane in self._lanes.items() if name not in queues or lane.is_lost]:
            lane = self._lanes.pop(name)
            lane.leave()
            self._leaving.add(lane)
        for name, queue in queues.items():
            state = self._states.setdefault(name, QueueState(queue, Pacer(queue, monotonic_us())))
            if state.queue != queue:
                state.configure(queue)
            if name not in self._lanes:
                await self._open_lane(name, state)
        concurrency = sum(queue.max_concurrent for queue in queues.values())
        for target in self._targets:
            target.expect(concurrency)

    def _tell_served(self) -> None:
        """Say which queues came to be served here, and which went: of several dispatchers the others stand by."""
        served = frozenset(name for name, lane in self._lanes.items() if lane.is_serving)
        if came := served - self._served:
            _log.info("serving here now: %s", ", ".join(sorted(came)))
        if went := self._served - served:
            _log.info("not serving here any more: %s", ", ".join(sorted(went)))
        self._served = served

    def _wanted(self) -> list[Queue]:
        push = [queue for queue in self._runtime.catalog.queues() if queue.mode is Mode.PUSH]
        return push if self._names is None else [queue for queue in push if queue.name in self._names]

    async def _open_lane(self, name: str, state: QueueState) -> None:
        lane = Lane(self._around, state)
        try:
            await lane.open()
        except Error as exc:
            self._around.failed(exc)  # the next tick tries again
        else:
            self._lanes[name] = lane
            self._around.broker.worked()

    async def _exchange(self) -> None:
        """Tell the ledger how the queues are doing, and ask it how they are to be steered."""
        names = list(self._lanes)
        reports = [(name, made) for name in names if (made := self._due_report(name)) is not None]
        asked_us = monotonic_us()
        try:
            controls = await self._around.off_loop(partial(self._exchange_blocking, names, reports))
        except Error as exc:
            self._around.failed(exc)
            return
        self._around.ledger.worked()
        for name, control in controls.items():
            self._lanes[name].steer(control, asked_us)

    def _due_report(self, name: str) -> tuple[int, Report] | None:
        """A queue's report, unless it says what the last one said and that is not old."""
        made = self._lanes[name].report()
        if made is None:
            return None
        last, at_s = self._reported.get(name, (None, 0.0))
        report = made[1]
        if last is not None and _figures(last) == _figures(report) and time.monotonic() - at_s < _REPORT_AT_LEAST_S:
            return None
        self._reported[name] = (report, time.monotonic())
        return made

    def _exchange_blocking(
        self,
        names: Sequence[str],
        reports: Sequence[tuple[str, tuple[int, Report]]],
    ) -> dict[str, Control]:
        for name, (epoch, report) in reports:
            self._runtime.ledger.report(name, epoch, report)
        return {name: self._runtime.ledger.control(name) for name in names}

    async def _housework(self) -> None:
        try:
            await self._around.off_loop(self._runtime.housekeeper.run_once)
        except Error as exc:
            self._around.failed(exc)

    async def _end(self, lane: Lane) -> None:
        try:
            await lane.close()
        except Error as exc:
            self._around.failed(exc)

    def _check_names(self) -> None:
        for name in self._names or ():
            if self._runtime.catalog.get(name).mode is not Mode.PUSH:
                raise InvalidQueueModeError(f"queue {name!r} is a pull queue; nothing dispatches its tasks")


def _figures(report: Report) -> tuple[int, int, float]:
    return report.executed_last_minute, report.in_flight, report.enforced_rate


async def _first(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for an event, or until the time is over."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
