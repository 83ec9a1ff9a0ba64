"""A thread with a loop of its own that runs an ASGI application's requests."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.asgi import AsgiApplication, Lifespan, answer
from gae_broker.engine.targets.crew import PATIENCE_S
from gae_broker.engine.targets.failures import log_error, overdue, raised, unanswered
from gae_broker.engine.targets.hand import Numbered, Result
from gae_broker.engine.targets.watch import Watch
from gae_broker.ports import Clock

_GRACE_S = 1.0
"""After its deadline a request is cancelled; an application that blocks its loop does not notice that."""

_END_S = 15.0

_log = logging.getLogger("gae_broker.dispatch")


class AsgiHost:
    """Runs ``size`` requests at a time on a loop that is not the dispatcher's: a handler may block its own."""

    def __init__(self, app: AsgiApplication, size: int, clock: Clock, post: Callable[[Result], None]) -> None:
        self.size = size
        self._app = app
        self._clock = clock
        self._post = post
        self._watch = Watch()
        self._waiting: deque[tuple[float, int, HttpRequest]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._lifespan = Lifespan(app)
        self._thread = threading.Thread(target=self._loop.run_forever, name="gae-broker application", daemon=True)

    @property
    def lost(self) -> int:
        """Requests that were given up and do not end."""
        return self._watch.lost

    def open(self) -> None:
        """Start the application.

        Raises:
            ConfigurationError: it says that it cannot start.
        """
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._lifespan.start(), self._loop).result()

    def submit(self, jobs: Iterable[Numbered]) -> None:
        """Run requests, in order, as places become free."""
        now_s = time.monotonic()
        self._waiting.extend((now_s, number, request) for number, request in jobs)
        self._loop.call_soon_threadsafe(self._fill)

    def sweep(self) -> None:
        """Fail what is overdue and could not be cancelled, give back what has waited too long."""
        for number, request in self._watch.give_up(_GRACE_S):
            _log.error("%s %s is over its deadline and blocks its loop", request.method, request.url)
            started_us = self._clock.now_us() - request.deadline_us
            self._post((number, unanswered(overdue(request.deadline_us), started_us, self._clock)))
        self._take_back(time.monotonic() - PATIENCE_S)

    def withdraw(self) -> None:
        """Give back everything that has not begun."""
        self._take_back(float("inf"))

    def close(self) -> None:
        """Cancel what runs and stop the application; a loop that is blocked is left alone."""
        if not self._thread.is_alive():
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            ending.result(_END_S)
        except TimeoutError:
            _log.warning("the application's loop is blocked; it is left behind")
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _take_back(self, before_s: float) -> None:
        while self._waiting:
            try:
                first = self._waiting.popleft()
            except IndexError:  # the loop was faster
                return
            if first[0] >= before_s:
                self._waiting.appendleft(first)
                return
            self._post((first[1], None))

    def _fill(self) -> None:
        while len(self._tasks) < self.size:
            try:
                _, number, request = self._waiting.popleft()
            except IndexError:
                return
            self._watch.begin(number, request)
            task = self._loop.create_task(self._run(number, request))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._fill()

    async def _run(self, number: int, request: HttpRequest) -> None:
        started_us = self._clock.now_us()
        try:
            outcome = await answer(self._app, request, self._clock, self._lifespan.state)
        except asyncio.CancelledError as exc:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # this host is closing; the handler did not raise it itself
            log_error(request, exc)
            outcome = raised(exc, started_us, self._clock)
        if self._watch.end(number):
            self._post((number, outcome))

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lifespan.stop()
