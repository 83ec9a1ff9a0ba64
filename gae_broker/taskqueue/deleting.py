"""Deletes tasks by name: the checks before the call, and what its answers mean.

Source: gae-semantics section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from gae_broker.domain.task_arguments import shown
from gae_broker.engine import runtime
from gae_broker.errors import BadTaskStateError, DuplicateTaskNameError, UnknownQueueError
from gae_broker.taskqueue.task import Task

Answer = list[bool] | UnknownQueueError
"""Which tasks were deleted, or why none could be."""


def prepare(tasks: Sequence[Task]) -> list[str]:
    """The names of the tasks.

    Raises:
        BadTaskStateError: a task without a name, or that was deleted before.
        DuplicateTaskNameError: two tasks of one name.
    """
    names: dict[str, None] = {}
    for task in tasks:
        if not task.name:
            raise BadTaskStateError("a task without a name cannot be deleted; it has none before it is added")
        if task.was_deleted:
            raise BadTaskStateError(f"task {shown(task.name)} was deleted already")
        if task.name in names:
            raise DuplicateTaskNameError(f"task name {shown(task.name)} is used twice in one call")
        names[task.name] = None
    return list(names)


def call(queue: str, names: Sequence[str]) -> Answer:
    """Ask the engine. An unknown queue is each task's own error, and so no error of the call."""
    try:
        return runtime.current().remover.delete(queue, names) if names else []
    except UnknownQueueError as exc:
        return exc


def settle(tasks: Sequence[Task], answer: Answer) -> None:
    """Mark what was deleted; a task that the queue does not know stays as it is, without an error."""
    if isinstance(answer, UnknownQueueError):
        raise answer
    for task, deleted in zip(tasks, answer, strict=True):
        task._mark_deleted(deleted)
