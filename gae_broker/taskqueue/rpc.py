"""The object behind every ``*_async`` call.

The work of a call runs on the runtime's threads (or at once, where it must stay in the caller's thread). Waiting,
marking tasks and raising happens where the caller asks for it, as on App Engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent import futures
from types import MappingProxyType
from typing import Generic, Self, TypeVar, cast

from gae_broker import errors
from gae_broker.engine import runtime

SERVICE = "taskqueue"
IDLE, RUNNING, FINISHING = 0, 1, 2
"""The values of `RPC.state`, App Engine's."""

Result_co = TypeVar("Result_co", covariant=True)
Response = TypeVar("Response")


class RPC(Generic[Result_co]):
    """One asynchronous call: made by ``create_rpc`` or by the ``*_async`` method that uses it, good for one call.

    ``await`` it in asyncio; in a google-cloud-ndb tasklet, ``yield`` it. Both answer as `get_result`.

    Differs from App Engine: ``request`` is a mapping and ``response`` the engine's answer, no protocol buffers.
    Without a deadline, the settings' own deadlines of broker and ledger apply.

    Args:
        service: always ``"taskqueue"``.
        deadline: seconds from the call on; ``None``: the settings' deadlines.
        callback: called without arguments, once, by the first `wait` that finds the call finished.
    """

    def __init__(
        self,
        service: str = SERVICE,
        deadline: float | None = None,
        callback: Callable[[], object] | None = None,
    ) -> None:
        self.callback = callback
        self.__service = service
        self.__deadline = deadline
        self.__method: str | None = None
        self.__request: Mapping[str, object] | None = None
        self.__response: object = None
        self.__error: BaseException | None = None
        self.__decide: Callable[[], Result_co] | None = None
        self.__decided: tuple[Result_co | None, BaseException | None] | None = None
        self.__due_s = float("inf")
        self.__once: _Once | None = None
        self.__lock = threading.RLock()
        self.__settled: futures.Future[None] = futures.Future()
        self.__called_back = False
        self.__at_once = False

    @classmethod
    def _at_once(cls) -> Self:
        """One for a caller that waits at once: the work is done in its own thread, and no other is woken for it."""
        rpc = cls()
        rpc.__at_once = True
        return rpc

    @property
    def service(self) -> str:
        """The service's name."""
        return self.__service

    @property
    def method(self) -> str | None:
        """The service's method (``BulkAdd`` ...), ``None`` before the call."""
        return self.__method

    @property
    def deadline(self) -> float | None:
        """Seconds, as given."""
        return self.__deadline

    @property
    def request(self) -> Mapping[str, object] | None:
        """What was asked for, ``None`` before the call."""
        return self.__request

    @property
    def response(self) -> object:
        """What the engine answered, ``None`` before it did or where it failed."""
        return self.__response

    @property
    def state(self) -> int:
        """`IDLE` before the call, `RUNNING`, `FINISHING` when there is an answer or an error."""
        if self.__method is None:
            return IDLE
        return FINISHING if self.__settled.done() else RUNNING

    def _start(
        self,
        method: str,
        request: Mapping[str, object],
        work: Callable[[], Response],
        decide: Callable[[Response], Result_co],
        *,
        here: bool = False,
    ) -> Self:
        """Make the call.

        Args:
            method: the service's method.
            request: what is asked for, to look at.
            work: does it; what it raises is the call's error.
            decide: makes the result of what ``work`` returned; called once, in the thread that wants the result.
            here: do the work now, in this thread.

        Raises:
            AssertionError: a call was made with it before.
        """
        with self.__lock:
            if self.__method is not None:
                raise AssertionError(f"this RPC was used for {self.__method} already; each call needs its own")
            self.__method = method
        self.__request = MappingProxyType(dict(request))
        self.__decide = lambda: decide(cast("Response", self.__response))
        if self.__deadline is not None:
            self.__due_s = time.monotonic() + self.__deadline
        self.__once = once = _Once(lambda: self.__run(work))
        if here or self.__at_once:
            once()
            return self
        try:
            runtime.current().executor.submit(contextvars.copy_context().run, once)
        except errors.Error as exc:
            self.__settle(None, exc)
        except RuntimeError:
            # The interpreter is ending, or no thread can be started: a task added now must not get lost.
            once()
        return self

    def __run(self, work: Callable[[], object]) -> None:
        try:
            response = work()
        except BaseException as exc:  # noqa: BLE001  (raised again where the result is asked for)
            self.__settle(None, exc)
        else:
            self.__settle(response, None)

    def __settle(self, response: object, error: BaseException | None) -> None:
        with self.__lock:
            if self.__settled.done():
                return
            self.__response, self.__error = response, error
            self.__settled.set_running_or_notify_cancel()
        self.__settled.set_result(None)

    def __expire(self) -> None:
        begun = self.__once is None or not self.__once.take()
        what = "it may yet be done" if begun else "it was not begun, and will not be"
        text = f"{self.__method} took longer than its deadline of {self.__deadline} s; {what}"
        self.__settle(None, self._deadline_error(text))

    def __require_call(self) -> None:
        if self.__method is None:
            raise AssertionError("no call was made with this RPC; hand it to an *_async method first")

    def __left_s(self) -> float | None:
        return None if self.__deadline is None else max(0.0, self.__due_s - time.monotonic())

    def wait(self) -> None:
        """Wait until the call is finished, or its deadline is over; then call the callback, once.

        Raises:
            AssertionError: no call was made.
        """
        self.__require_call()
        if self.__deadline is None and self.__once is not None:
            # Whoever waits without a limit may as well do it, if no thread has begun it: so a call never waits
            # behind those of others.
            self.__once()
        try:
            self.__settled.result(self.__left_s())
        except futures.TimeoutError:
            self.__expire()
        self._call_back()

    def _call_back(self) -> None:
        """Call the callback, unless that was done."""
        with self.__lock:
            if self.__called_back:
                return
            self.__called_back = True
        if self.callback is not None:
            self.callback()

    def check_success(self) -> None:
        """Wait, and raise what concerns the call as a whole; errors of single tasks are `get_result`'s."""
        self.wait()
        if self.__error is not None:
            raise self.__error

    def get_result(self) -> Result_co:
        """Wait for the result, mark the tasks, and answer; every later call answers, or raises, the same.

        Raises:
            DeadlineExceededError: the deadline is over; the call may yet be done.
            gae_broker.errors.Error: what the service refused.
        """
        self.check_success()
        with self.__lock:
            if self.__decided is None:
                self.__decided = self.__make_result()
            result, error = self.__decided
        if error is not None:
            raise error
        return cast("Result_co", result)

    def __make_result(self) -> tuple[Result_co | None, BaseException | None]:
        try:
            return cast("Callable[[], Result_co]", self.__decide)(), None
        except errors.Error as exc:
            return None, exc

    def __await__(self) -> Generator[object, None, Result_co]:
        yield from self.__wait_in_loop().__await__()
        return self.get_result()

    async def __wait_in_loop(self) -> None:
        self.__require_call()
        # Whoever awaits may be cancelled; the call goes on, so asyncio gets a future of its own to cancel.
        loop = asyncio.get_running_loop()
        finished = asyncio.Event()
        self._when_settled(lambda: _notify(loop, finished))
        try:
            await asyncio.wait_for(finished.wait(), self.__left_s())
        except TimeoutError:
            self.__expire()

    def _when_settled(self, call: Callable[[], object]) -> None:
        """Call when the call is finished or its deadline is over, from any thread; at once if it is."""
        self.__settled.add_done_callback(lambda _: call())

    @property
    def _settlement(self) -> futures.Future[None]:
        """Done when the call is finished or its deadline is over."""
        return self.__settled

    def _watch_deadline(self) -> None:
        """Let the deadline end the call even while nobody waits."""
        left_s = self.__left_s()
        if left_s is None or self.__settled.done():
            return
        timer = threading.Timer(left_s, self.__expire)
        timer.daemon = True
        timer.start()
        self._when_settled(timer.cancel)

    @staticmethod
    def _deadline_error(text: str) -> BaseException:
        """What is raised when the deadline is over."""
        return errors.DeadlineExceededError(text)

    @classmethod
    def wait_any(cls, rpcs: Iterable[RPC[Result_co]]) -> RPC[Result_co] | None:
        """Wait until one of these is finished; the first of them that is, ``None`` where there are none.

        Raises:
            AssertionError: one of them has made no call.
        """
        waiting = list(rpcs)
        for rpc in waiting:
            rpc.__require_call()
        if not waiting:
            return None
        due_s = min(rpc.__due_s for rpc in waiting)
        timeout_s = None if due_s == float("inf") else max(0.0, due_s - time.monotonic())
        futures.wait([rpc.__settled for rpc in waiting], timeout_s, futures.FIRST_COMPLETED)
        first = next((rpc for rpc in waiting if rpc.__settled.done()), None)
        if first is None:
            first = min(waiting, key=lambda rpc: rpc.__due_s)
            first.__expire()
        first._call_back()
        return first

    @classmethod
    def wait_all(cls, rpcs: Iterable[RPC[Result_co]]) -> None:
        """Wait until all of these are finished."""
        for rpc in list(rpcs):
            rpc.wait()


class _Once:
    """Calls a function at most once, whoever comes first: a thread of the runtime, who waits, or who gives up."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._free = threading.Lock()

    def __call__(self) -> None:
        if self.take():
            self._function()

    def take(self) -> bool:
        """Take the one call; whether it was still to be had."""
        return self._free.acquire(blocking=False)


def _notify(loop: asyncio.AbstractEventLoop, finished: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed; nobody waits in it any more
        loop.call_soon_threadsafe(finished.set)
