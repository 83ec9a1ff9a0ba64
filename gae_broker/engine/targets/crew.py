"""Threads that run a WSGI application's requests."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import NamedTuple
from wsgiref.types import WSGIApplication

from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.failures import log_error, overdue, raised, unanswered
from gae_broker.engine.targets.hand import Numbered, Result
from gae_broker.engine.targets.watch import Watch
from gae_broker.engine.targets.wsgi import call_wsgi
from gae_broker.ports import Clock

PATIENCE_S = 1.0
"""How long a request may wait for a thread before its task goes back to the queue."""

_log = logging.getLogger("gae_broker.dispatch")


class _Waiting(NamedTuple):
    number: int
    request: HttpRequest
    since_s: float


class Crew:
    """At most ``size`` threads, started as they are needed.

    A thread cannot be ended from outside. When a request is over its deadline the attempt fails, but its thread is
    lost until the handler returns; where that matters, use worker processes, which can be killed.
    """

    def __init__(
        self,
        app: WSGIApplication,
        size: int,
        clock: Clock,
        post: Callable[[Result], None],
        *,
        multiprocess: bool = False,
    ) -> None:
        self.size = size
        self._app = app
        self._clock = clock
        self._post = post
        self._multiprocess = multiprocess
        self._watch = Watch()
        self._waiting: deque[_Waiting] = deque()
        # One token a request, and one more a thread to end; a request taken back leaves its token, which is harmless.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._threads = 0
        self._closed = False

    @property
    def lost(self) -> int:
        """Threads whose request was given up and does not end."""
        return self._watch.lost

    def open(self) -> None:
        """Nothing to do: threads start with the first requests."""

    def submit(self, jobs: Iterable[Numbered]) -> None:
        """Run requests, in order, as threads become free."""
        now_s = time.monotonic()
        for number, request in jobs:
            self._waiting.append(_Waiting(number, request, now_s))
            self._wake.put(None)
        while self._threads < self.size and len(self._waiting) > self._idle:
            try:
                threading.Thread(target=self._work, name="gae-broker handler", daemon=True).start()
            except RuntimeError as exc:  # a limit of the system's; what finds no thread goes back after a while
                _log.error("cannot start a thread: %s", exc)
                return
            self._threads += 1

    def sweep(self) -> None:
        """Fail what is overdue, give back what has waited too long."""
        for number, request in self._watch.give_up():
            _log.error(
                "%s %s has run for %g s and goes on: its thread is lost until it ends (%d of %d are)",
                request.method,
                request.url,
                request.deadline_us / 1_000_000,
                self.lost,
                self.size,
            )
            started_us = self._clock.now_us() - request.deadline_us
            self._post((number, unanswered(overdue(request.deadline_us), started_us, self._clock)))
        self._take_back(time.monotonic() - PATIENCE_S)

    def withdraw(self) -> None:
        """Give back everything that has not begun."""
        self._take_back(float("inf"))

    def close(self) -> None:
        """Let the threads end that have nothing to do; the others end with their request."""
        self._closed = True
        for _ in range(self._threads):
            self._wake.put(None)

    @property
    def _idle(self) -> int:
        return self._threads - self._watch.running - self._watch.lost

    def _take_back(self, before_s: float) -> None:
        while self._waiting:
            try:
                first = self._waiting.popleft()
            except IndexError:  # a thread was faster
                return
            if first.since_s >= before_s:
                self._waiting.appendleft(first)
                self._wake.put(None)
                return
            self._post((first.number, None))

    def _work(self) -> None:
        while True:
            self._wake.get()
            try:
                number, request, _ = self._waiting.popleft()
            except IndexError:
                if self._closed:
                    return
                continue
            self._run(number, request)

    def _run(self, number: int, request: HttpRequest) -> None:
        started_us = self._clock.now_us()
        self._watch.begin(number, request)
        try:
            outcome = call_wsgi(self._app, request, self._clock, multiprocess=self._multiprocess)
        except BaseException as exc:  # noqa: BLE001 - nothing that a handler raises may cost a thread
            log_error(request, exc)
            outcome = raised(exc, started_us, self._clock)
        if self._watch.end(number):
            self._post((number, outcome))
