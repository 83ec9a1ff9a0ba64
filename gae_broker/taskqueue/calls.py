"""Makes the RPC objects of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gae_broker.domain.task_arguments import shown
from gae_broker.errors import InvalidDeadlineError
from gae_broker.taskqueue.rpc import RPC, SERVICE
from gae_broker.taskqueue.rpc_classes import rpc_class

Result = TypeVar("Result")


def create_rpc(deadline: float | None = None, callback: Callable[[], object] | None = None) -> RPC[Result]:
    """An RPC to hand to one ``*_async`` method.

    Args:
        deadline: seconds that the call may take; ``None``: the settings' own deadlines apply.
        callback: called without arguments, once, when waiting for the call finds it finished.

    Raises:
        InvalidDeadlineError: the deadline is not positive.
        TypeError: the deadline is no number.
    """
    if deadline is not None:
        check_deadline(deadline)
    return rpc_class()(SERVICE, deadline, callback)


def in_this_thread() -> RPC[Result]:
    """An RPC for a call whose result is waited for at once: the thread that makes the call does the work."""
    return rpc_class()._at_once()


def is_replaced(method: object, original: object) -> bool:
    """Whether a bound method is not the original one but a subclass's, or what a test put in its place.

    The synchronous methods do without an RPC where they can. App Engine's call their ``_async`` form, and programs
    and tests that replace that one count on it.
    """
    return getattr(method, "__func__", None) is not original


def given_or_new(rpc: object) -> RPC[Result]:
    """The caller's RPC, or a new one for ``None``; that it has the right result type is the type checker's matter.

    Raises:
        TypeError: it is no RPC.
    """
    if rpc is None:
        return create_rpc()
    if not isinstance(rpc, RPC):
        raise TypeError(f"rpc must be made by create_rpc(), not {shown(rpc)}")
    return rpc


def check_deadline(deadline: float) -> None:
    """Check a deadline in seconds; ``None`` is none.

    Raises:
        InvalidDeadlineError: it is not positive.
        TypeError: it is no number.
    """
    if not isinstance(deadline, int | float):
        raise TypeError(f"deadline must be numeric, not {shown(deadline)}")
    if not deadline > 0:
        raise InvalidDeadlineError(f"deadline is {deadline!r}; it must be a positive number of seconds")
