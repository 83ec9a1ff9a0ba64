"""An application that the dispatcher's own process imports and calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from gae_broker.engine.targets.failures import unanswered
from gae_broker.engine.targets.hand import Hand, Result
from gae_broker.engine.targets.host import Host, make_host
from gae_broker.engine.targets.target import Job
from gae_broker.ports import Clock

SWEEP_S = 0.2
NO_CAPACITY = "no free capacity, and the task asks to fail fast"


class LocalTarget:
    """`Target` over a `Host` in this process.

    Results come from other threads; they are collected and cross over to the loop together, with one wake-up for
    all that came in the meantime.
    """

    def __init__(self, spec: str, threads: int, clock: Clock) -> None:
        self._spec = spec
        self._threads = threads
        self._clock = clock
        self._hand = Hand()
        self._results: deque[Result] = deque()
        self._is_woken = False
        self._host: Host | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Import the application, here and now: some applications insist on the main thread."""
        self._loop = asyncio.get_running_loop()
        host = make_host(self._spec, self._threads, self._clock, self._post, multiprocess=False)
        await asyncio.to_thread(host.open)
        self._host = host

    def expect(self, concurrency: int) -> None:
        """Nothing to do: the number of threads is what it is."""

    def room(self) -> int:
        """As `Target.room`."""
        return 0 if self._host is None else self._hand.room(self._host.size - self._host.lost)

    def when_room(self, notify: Callable[[], None]) -> None:
        """As `Target.when_room`."""
        self._hand.when_room(notify)

    def start(self, jobs: Sequence[Job]) -> None:
        """As `Target.start`."""
        host = self._host
        if host is None:
            return
        jobs = refuse_hasty(jobs, host.size - host.lost - len(self._hand), self._clock, self._loop)
        host.submit(self._hand.take(jobs))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)

    def withdraw(self) -> None:
        """As `Target.withdraw`."""
        if self._host is not None:
            self._host.withdraw()
            self._collect()

    async def close(self) -> None:
        """As `Target.close`; a thread that does not end is left to the end of the process."""
        host, self._host = self._host, None
        self._hand.forget()
        if self._sweeping is not None:
            self._sweeping.cancel()
        if host is not None:
            await asyncio.to_thread(host.close)

    def _sweep(self) -> None:
        self._sweeping = None
        if self._host is not None:
            self._host.sweep()
            if len(self._hand) or self._host.lost:
                self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)
            self._hand.notify()  # a thread that was lost may have come back

    def _post(self, result: Result) -> None:
        self._results.append(result)
        if not self._is_woken:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:  # the loop was closed under a handler that did not end in time
                return

    def _collect(self) -> None:
        self._is_woken = False  # first: whoever appends after this wakes the loop again
        results = []
        while self._results:
            results.append(self._results.popleft())
        self._hand.resolve(results)


def refuse_hasty(jobs: Sequence[Job], free: int, clock: Clock, loop: asyncio.AbstractEventLoop) -> list[Job]:
    """Fail those tasks that want no wait and would have to; the other jobs."""
    accepted: list[Job] = []
    for job in jobs:
        if job.request.fail_fast and len(accepted) >= free:
            loop.call_soon(job.done, unanswered(NO_CAPACITY, clock.now_us(), clock))
        else:
            accepted.append(job)
    return accepted
