"""An application that worker processes import and call: as many as the backlog needs, between two bounds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from gae_broker.domain.setting_values import Processes
from gae_broker.engine.targets.failures import unanswered
from gae_broker.engine.targets.frames import Start
from gae_broker.engine.targets.hand import Hand, Numbered, Result
from gae_broker.engine.targets.local import refuse_hasty
from gae_broker.engine.targets.target import Job
from gae_broker.engine.targets.worker_process import WorkerProcess
from gae_broker.errors import ConfigurationError
from gae_broker.ports import Clock

SWEEP_S = 0.2
GROW_SWEEPS = 3
"""So many looks in a row must find no free place before another process is started."""
SHRINK_S = 30.0
"""A process is ended when for so long the others would have been enough."""
RETIRE_S = 10.0
"""How long the other attempts of a process with a stuck one may go on before it is killed."""

_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 5.0

_log = logging.getLogger("gae_broker.dispatch")


class PoolTarget:
    """`Target` over worker processes."""

    def __init__(
        self,
        spec: str,
        processes: Processes,
        threads: int,
        clock: Clock,
        *,
        shrink_s: float = SHRINK_S,
    ) -> None:
        self._start = Start(spec, threads, ())
        self._processes = processes
        self._clock = clock
        self._shrink_s = shrink_s
        self._hand = Hand()
        self._workers: list[WorkerProcess] = []
        self._retiring: dict[WorkerProcess, float] = {}
        self._opened: asyncio.Future[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._full_sweeps = 0
        self._peak = 0
        self._peak_since_s = 0.0
        self._pause_s = 0.0
        self._resume_s = 0.0

    async def open(self) -> None:
        """Start the least number of processes and wait until they are ready.

        Raises:
            ConfigurationError: the application does not start in them.
        """
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._start = Start(self._start.spec, self._start.threads, _levels())
        for _ in range(self._processes.least):
            await self._add()
        await self._opened
        self._peak_since_s = time.monotonic()
        self._sweeping = self._loop.create_task(self._sweep_for_ever())

    def expect(self, concurrency: int) -> None:
        """Nothing to do: processes come and go with the load."""

    def room(self) -> int:
        """As `Target.room`."""
        return self._hand.room(self._capacity())

    def when_room(self, notify: Callable[[], None]) -> None:
        """As `Target.when_room`."""
        self._hand.when_room(notify)

    def start(self, jobs: Sequence[Job]) -> None:
        """As `Target.start`."""
        free = self._capacity() - len(self._hand)
        numbered = self._hand.take(refuse_hasty(jobs, free, self._clock, self._loop))
        self._peak = max(self._peak, len(self._hand))
        serving = self._serving()
        if not serving:
            self._loop.call_soon(self._hand.resolve, [(number, None) for number, _ in numbered])
            return
        shares: dict[WorkerProcess, list[Numbered]] = {worker: [] for worker in serving}
        loads = {worker: len(worker) for worker in serving}
        for job in numbered:
            worker = min(serving, key=loads.__getitem__)
            shares[worker].append(job)
            loads[worker] += 1
        for worker, share in shares.items():
            if share:
                worker.submit(share)

    def withdraw(self) -> None:
        """As `Target.withdraw`."""
        for worker in self._workers:
            worker.withdraw()

    async def close(self) -> None:
        """As `Target.close`."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self._hand.forget()
        workers, self._workers = self._workers, []
        await asyncio.gather(*(worker.close() for worker in workers))

    # ------------------------------------------------------------------------------ what workers report

    def ready(self) -> None:
        """As `Listener.ready`."""
        _log.info("worker process %d of at most %d is ready", len(self._serving()), self._processes.most)
        if self._opened is not None and not self._opened.done() and len(self._serving()) >= self._processes.least:
            self._opened.set_result(None)
        self._hand.notify()

    def resolved(self, worker: WorkerProcess, results: list[Result]) -> None:
        """As `Listener.resolved`."""
        self._hand.resolve(results)
        if worker.lost and not worker.is_retired:
            _log.error("an attempt goes on after its deadline: its worker process is replaced")
            self._retire(worker, RETIRE_S)

    def ended(self, worker: WorkerProcess, reason: str, unresolved: list[int]) -> None:
        """As `Listener.ended`."""
        self._workers = [other for other in self._workers if other is not worker]
        expected = self._retiring.pop(worker, None) is not None
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(
                ConfigurationError(worker.failure or f"the application does not start: {reason}")
            )
        elif not expected:
            _log.error("%s%s", reason, f": {worker.failure}" if worker.failure else "")
            self._pause_if_short_lived(worker)
        self._hand.resolve((number, unanswered(reason, self._clock.now_us(), self._clock)) for number in unresolved)

    # ------------------------------------------------------------------------------ how many there are

    def _serving(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.size and not worker.is_retired]

    def _capacity(self) -> int:
        return sum(worker.size - worker.lost for worker in self._serving())

    async def _add(self) -> None:
        worker = WorkerProcess(self)
        self._workers.append(worker)
        try:
            await worker.start(self._start)
        except OSError:
            self._workers.remove(worker)
            await worker.close()
            raise

    def _retire(self, worker: WorkerProcess, patience_s: float) -> None:
        worker.is_retired = True
        worker.withdraw()
        self._retiring[worker] = time.monotonic() + patience_s

    def _pause_if_short_lived(self, worker: WorkerProcess) -> None:
        """Wait longer and longer before a process that ended right after its start is replaced."""
        if time.monotonic() - worker.began_s > _HEALTHY_S:
            self._pause_s = 0.0
            return
        self._pause_s = min(max(self._pause_s * 2, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._resume_s = time.monotonic() + self._pause_s

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._sweep()
            except OSError as exc:  # no process can be started now: memory, or a limit on processes
                _log.error("cannot start a worker process: %s", exc)
                self._resume_s = time.monotonic() + _LONGEST_PAUSE_S

    async def _sweep(self) -> None:
        now_s = time.monotonic()
        for worker in self._workers:
            if worker.is_unresponsive():
                worker.kill("worker process did not respond")
            elif self._retiring.get(worker, now_s) < now_s:
                worker.kill("worker process was replaced because of another attempt's deadline")
        for worker in [worker for worker in self._retiring if worker.size and not len(worker)]:
            await self._end(worker)
        living = [worker for worker in self._workers if not worker.is_retired]
        self._full_sweeps = self._full_sweeps + 1 if len(self._hand) >= self._capacity() > 0 else 0
        missing = len(living) < self._processes.least
        wanted = self._full_sweeps >= GROW_SWEEPS and len(living) < self._processes.most
        if (missing or (wanted and len(self._serving()) == len(living))) and now_s >= self._resume_s:
            self._full_sweeps = 0
            await self._add()
        self._shrink(now_s)

    def _shrink(self, now_s: float) -> None:
        if now_s - self._peak_since_s < self._shrink_s:
            return
        serving = self._serving()
        if len(serving) > self._processes.least and self._peak <= self._capacity() - serving[-1].size:
            _log.info("worker process %d has nothing to do and ends", len(serving))
            self._retire(serving[-1], RETIRE_S)
        self._peak, self._peak_since_s = len(self._hand), now_s

    async def _end(self, worker: WorkerProcess) -> None:
        if worker.lost:
            worker.kill("")
        await worker.close()
        # Only now: a pool that is closed meanwhile must still find it.
        self._retiring.pop(worker, None)
        self._workers.remove(worker)


def _levels() -> tuple[tuple[str, int], ...]:
    names = ("", "gae_broker")
    return tuple((name, logging.getLogger(name).level) for name in names)
