"""An RPC that google-cloud-ndb tasklets may yield.

ndb takes only instances of its own ``Future`` (or ``RemoteCall``), so the class is built of both, the first time a
call is made after the application imported ndb. This package never imports ndb itself.

An ndb event loop runs in one thread and blocks on the queue of its remote calls; a `RemoteCall` stand-in in that
queue is what carries the end of our call, which another thread brings, safely into the loop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

from gae_broker.taskqueue.rpc import FINISHING, RPC


class _Loop(Protocol):
    def queue_rpc(self, rpc: object, callback: Callable[[object], object]) -> None: ...


class TaskletRPC(RPC[Any]):
    """What a call must offer to ndb; the class that is built has ndb's ``Future`` as a second base."""

    info = "task queue call"
    _seen_by: _Loop | None = None

    def done(self) -> bool:
        """Whether it is finished. Asked by ndb's ``wait_any`` and by parallel yields."""
        if self.state == FINISHING:
            return True
        loop = _event_loop()
        if loop is not None and self._seen_by is not loop:
            # Who polls runs the loop meanwhile, and a loop that waits for nothing counts as exhausted.
            self._seen_by = loop
            self._enqueue(loop, lambda _: None)
        return False

    def running(self) -> bool:
        """Whether it is not finished."""
        return not self.done()

    def result(self) -> object:
        """As `get_result`."""
        return self.get_result()

    def exception(self) -> BaseException | None:
        """What `get_result` raises, ``None`` if it answers."""
        try:
            self.get_result()
        except Exception as exc:  # noqa: BLE001  (ndb throws it into the tasklet)
            return exc
        return None

    get_exception = exception

    def add_done_callback(self, callback: Callable[[TaskletRPC], object]) -> None:
        """Call back when it is finished: in the thread of the current ndb loop, or from any where there is none."""
        loop = _event_loop()
        if self.state == FINISHING:
            callback(self)
        elif loop is None:
            self._watch_deadline()
            self._when_settled(lambda: callback(self))
        else:
            self._enqueue(loop, lambda _: callback(self))

    def cancel(self) -> None:
        """Do nothing: a call under way may have been done already, so it is never called off."""

    def cancelled(self) -> bool:
        """Never."""
        return False

    def _enqueue(self, loop: _Loop, callback: Callable[[object], object]) -> None:
        self._watch_deadline()
        loop.queue_rpc(_Remote(self), callback)


class _Remote:
    """What an ndb event loop wants of a remote call: to be told its end."""

    def __init__(self, rpc: TaskletRPC) -> None:
        self._rpc = rpc

    def add_done_callback(self, callback: Callable[[_Remote], object]) -> None:
        """Call back from any thread; ndb's callback puts the call into a thread-safe queue."""
        self._rpc._when_settled(lambda: callback(self))


def _event_loop() -> _Loop | None:
    module = sys.modules.get("google.cloud.ndb.context")
    context = None if module is None else module.get_context(raise_context_error=False)
    loop: _Loop | None = None if context is None else context.eventloop
    return loop


def build(tasklets: ModuleType) -> type[RPC[Any]]:
    """The class, for this ndb ``tasklets`` module."""
    return type("TaskletRPC", (TaskletRPC, tasklets.Future), {"__module__": __name__, "__doc__": TaskletRPC.__doc__})
