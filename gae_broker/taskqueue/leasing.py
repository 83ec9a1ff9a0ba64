"""Leases pull tasks: the checks before the call.

Source: gae-semantics sections 3.5 to 3.7.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gae_broker.domain import limits
from gae_broker.domain.task import PULL, Content, Copy
from gae_broker.domain.task_arguments import shown
from gae_broker.engine import runtime
from gae_broker.errors import BadTaskStateError, InvalidLeaseTimeError, InvalidMaxTasksError
from gae_broker.taskqueue.task import Task

_US = 1_000_000


def lease_us(lease_seconds: float) -> int:
    """A lease time in microseconds.

    Raises:
        InvalidLeaseTimeError: it is not between 0 and 604,800 seconds.
        TypeError: it is no number.
    """
    if not isinstance(lease_seconds, int | float):
        raise TypeError(f"lease_seconds must be a float or an integer, not {shown(lease_seconds)}")
    if lease_seconds < 0:
        raise InvalidLeaseTimeError(f"lease_seconds is {lease_seconds!r}; it cannot be negative")
    if lease_seconds > limits.MAX_LEASE_SECONDS:
        raise InvalidLeaseTimeError(
            f"lease_seconds is {lease_seconds!r}; at most {limits.MAX_LEASE_SECONDS} is allowed"
        )
    if math.isnan(lease_seconds):
        raise InvalidLeaseTimeError("lease_seconds is not a number (NaN)")
    return round(lease_seconds * _US)


def check_max_tasks(max_tasks: int) -> None:
    """Check the number of tasks to lease.

    Raises:
        InvalidMaxTasksError: it is not between 1 and 1000.
        TypeError: it is no int.
    """
    if not isinstance(max_tasks, int):
        raise TypeError(f"max_tasks must be an integer, not {shown(max_tasks)}")
    if max_tasks <= 0:
        raise InvalidMaxTasksError(f"max_tasks is {max_tasks}; it must be positive")
    if max_tasks > limits.MAX_TASKS_PER_LEASE:
        raise InvalidMaxTasksError(
            f"max_tasks is {max_tasks}; at most {limits.MAX_TASKS_PER_LEASE} can be leased at once",
        )


def call(queue: str, lease: int, max_tasks: int, *, by_tag: bool, tag: str | None) -> list[Copy]:
    """Ask the engine; ``lease`` is in microseconds."""
    return runtime.current().leaser.lease(queue, lease, max_tasks, by_tag=by_tag, tag=tag)


def modify(queue: str, task: Task, lease: int) -> None:
    """Change a lease to end ``lease`` microseconds from now, and mark the task.

    Raises:
        BadTaskStateError: the task has no name.
    """
    if not task.name:
        raise BadTaskStateError("a task without a name has no lease; lease it first")
    fallback = _fallback(task, queue)
    task._mark_lease_end(runtime.current().leaser.modify(queue, task.name, task._eta_usec, lease, fallback))


def _fallback(task: Task, queue: str) -> Content:
    """The task's content as far as this object knows it; a push task's becomes a pull task's, as when leased."""
    content = task._content(queue)
    return replace(content, method=PULL, url="", headers=(), retry=None, deadline_us=None, target=None)
