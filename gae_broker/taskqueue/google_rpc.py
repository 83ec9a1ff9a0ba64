"""An RPC that App Engine's own libraries take for theirs, where they are installed beside ours.

ndb tasklets yield instances of ``apiproxy_stub_map.UserRPC`` alone, and old code catches the deadline error of
``apiproxy_errors``. Both classes are built of ours and Google's, the first time a call is made after the application
imported Google's API proxy. This package never imports it itself.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from gae_broker import errors
from gae_broker.taskqueue.rpc import RPC, RUNNING


class _Call:
    """What ``UserRPC`` holds inside, as far as its ``wait_any`` looks at it."""

    exception = None

    def __init__(self, rpc: ProxyRPC) -> None:
        self._rpc = rpc

    @property
    def state(self) -> int:
        """As `RPC.state`, whose values are App Engine's."""
        return self._rpc.state

    def Wait(self) -> None:  # noqa: N802 - App Engine's name
        """Wait for the end, or the deadline."""
        self._rpc.wait()


class ProxyRPC(RPC[Any]):
    """What a call must offer to App Engine's ndb; the class that is built has ``UserRPC`` as a second base."""

    get_result_hook = None
    user_data = None

    @property
    def future(self) -> object:
        """What App Engine's ``wait_any`` waits for, among the futures of its own calls."""
        if self.state == RUNNING:
            self._watch_deadline()
        return self._settlement

    @property
    def _UserRPC__rpc(self) -> _Call:  # noqa: N802 - a private name of Google's class, which asks for it
        return _Call(self)

    def _UserRPC__call_user_callback(self) -> None:  # noqa: N802
        self._call_back()

    def make_call(self, method: str, *_: object, **__: object) -> None:
        """Refuse: the calls of this object are made by ``*_async`` methods.

        Raises:
            AssertionError: always.
        """
        raise AssertionError(f"{method}: hand this RPC to an *_async method; it makes no other calls")

    @staticmethod
    def _deadline_error(text: str) -> BaseException:
        theirs = getattr(sys.modules.get("google.appengine.runtime.apiproxy_errors"), "DeadlineExceededError", None)
        if theirs is None or issubclass(errors.DeadlineExceededError, theirs):
            return errors.DeadlineExceededError(text)
        both = type("DeadlineExceededError", (errors.DeadlineExceededError, theirs), {"__module__": theirs.__module__})
        error: BaseException = both(text)
        return error


def build(stub_map: ModuleType) -> type[RPC[Any]]:
    """The class, for this ``apiproxy_stub_map`` module."""
    return type("ProxyRPC", (ProxyRPC, stub_map.UserRPC), {"__module__": __name__, "__doc__": ProxyRPC.__doc__})
