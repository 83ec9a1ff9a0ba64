"""Breaks off what takes too long, for thousands of attempts a second of which hardly any does.

`asyncio.timeout` sets and cancels a timer for each; here those of one duration share one, as they fall due in the order
in which they began.
"""

from __future__ import annotations

import asyncio

_Running = dict[asyncio.Task[None], float]


class Deadlines:
    """Cancels tasks that are not done in time, not before; used on the loop only."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._by_duration: dict[float, _Running] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._over: set[asyncio.Task[None]] = set()

    def begin(self, task: asyncio.Task[None], duration_s: float) -> None:
        """Have a task cancelled in ``duration_s`` seconds, unless `end` is called before."""
        running = self._by_duration.get(duration_s)
        if running is None:
            running = self._by_duration[duration_s] = {}
        running[task] = due_s = self._loop.time() + duration_s
        if duration_s not in self._timers:
            self._timers[duration_s] = self._loop.call_at(due_s, self._look, duration_s)

    def end(self, task: asyncio.Task[None], duration_s: float) -> None:
        """A task is done, or was broken off."""
        self._by_duration.get(duration_s, {}).pop(task, None)
        self._over.discard(task)

    def is_over(self, task: asyncio.Task[None]) -> bool:
        """Whether its deadline, and nothing else, cancelled a task; asked where the cancellation arrives."""
        return task in self._over and not task.uncancel()

    def close(self) -> None:
        """Cancel nothing any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _look(self, duration_s: float) -> None:
        """Cancel those whose time is over, and come back for the first of the others."""
        running, now_s = self._by_duration[duration_s], self._loop.time()
        while running:
            task = next(iter(running))
            if running[task] > now_s:
                self._timers[duration_s] = self._loop.call_at(running[task], self._look, duration_s)
                return
            del running[task]
            self._over.add(task)
            task.cancel()
        del self._by_duration[duration_s], self._timers[duration_s]
