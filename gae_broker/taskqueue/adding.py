"""Adds tasks to a queue: the checks before the call, and what its answers mean.

Source: gae-semantics sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

from gae_broker.domain import limits
from gae_broker.domain.task import PULL
from gae_broker.domain.task_arguments import shown
from gae_broker.engine import entry, runtime, transactions
from gae_broker.engine.enqueue import Added, NewTask
from gae_broker.errors import (
    BadTaskStateError,
    BadTransactionStateError,
    DuplicateTaskNameError,
    Error,
    InvalidTaskError,
    InvalidTaskNameError,
    TaskAlreadyExistsError,
    TombstonedTaskError,
    TooManyTasksError,
    TransactionalRequestTooLargeError,
)
from gae_broker.taskqueue.task import Task

T = TypeVar("T")
_SHOWN = 20
_NAME_TAKEN = (TaskAlreadyExistsError, TombstonedTaskError)


def as_list(given: T | Iterable[T]) -> tuple[list[T], bool]:
    """(the elements, whether an iterable was given)."""
    try:
        iterator = iter(cast("Iterable[T]", given))
    except TypeError:
        return [cast("T", given)], False
    return list(iterator), True


def prepare(queue: str, tasks: Sequence[Task], *, transactional: bool) -> list[NewTask]:
    """Check everything that can be refused without the service, in App Engine's order; changes nothing.

    Raises:
        InvalidTaskError: push and pull tasks together.
        TooManyTasksError: more than 100 tasks.
        DuplicateTaskNameError: two tasks of one name.
        BadTaskStateError: a task that was added or leased before.
        BadTransactionStateError: a transactional add outside of a transaction.
        InvalidTaskNameError: a transactional add of a named task.
        TransactionalRequestTooLargeError: a transactional add of more than 1 MiB.
    """
    if len({task.method == PULL for task in tasks}) > 1:
        raise InvalidTaskError("push and pull tasks cannot be added in one call; make two")
    if len(tasks) > limits.MAX_TASKS_PER_ADD:
        raise TooManyTasksError(f"{len(tasks)} tasks in one call; at most {limits.MAX_TASKS_PER_ADD} are allowed")
    names: set[str] = set()
    new = []
    for task in tasks:
        _check_task(task, names, transactional=transactional)
        new.append(NewTask(task._content(queue), task._eta_usec, task._large))
    if transactional:
        _check_transactional_size(queue, new)
    return new


def _check_task(task: Task, names: set[str], *, transactional: bool) -> None:
    if task.name:
        if task.name in names:
            raise DuplicateTaskNameError(f"task name {shown(task.name)} is used twice in one call")
        names.add(task.name)
    if task.was_enqueued:
        raise BadTaskStateError(f"task {task.name!r} is in queue {task.queue_name!r} already; make a new Task")
    if not transactional:
        return
    if transactions.current() is None:
        raise BadTransactionStateError("transactional=True outside of a transaction; add the task within one")
    if task.name:
        raise InvalidTaskNameError(f"task {shown(task.name)}: a task bound to a transaction cannot be named")


def _check_transactional_size(queue: str, tasks: Sequence[NewTask]) -> None:
    size = sum(entry.size(queue, task.content, task.eta_us) for task in tasks)
    if size > limits.MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES:
        raise TransactionalRequestTooLargeError(
            f"the tasks have {size} bytes together, "
            f"a transactional call may have {limits.MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES}",
        )


def call(queue: str, tasks: Sequence[NewTask], *, transactional: bool) -> list[Added]:
    """Ask the engine."""
    return runtime.current().enqueuer.add(queue, tasks, transactional=transactional)


def settle(queue: str, tasks: Sequence[Task], answers: Sequence[Added]) -> None:
    """Mark the tasks that were added, then raise the call's error, if there is one.

    The first error that is not about a taken name counts; only where there is none, the last that is. So whoever
    gets one of those two knows that each task of the call was added, now or before.
    """
    error: Exception | None = None
    for task, answer in zip(tasks, answers, strict=True):
        if answer.error is not None:
            if error is None or isinstance(error, _NAME_TAKEN):
                error = answer.error
        elif not answer.skipped:
            task._mark_added(answer.name, queue)
    if error is not None:
        if len(tasks) > 1:
            _tell(error, answers)
        raise error


def _tell(error: Exception, answers: Sequence[Added]) -> None:
    """Have the error of a call say which of its tasks were not enqueued."""
    failures = {
        index: answer.error or error
        for index, answer in enumerate(answers)
        if answer.error is not None or answer.skipped
    }
    if isinstance(error, Error):
        error.failures = failures
    shown = ", ".join(map(str, list(failures)[:_SHOWN]))
    more = "" if len(failures) <= _SHOWN else f" and {len(failures) - _SHOWN} more"
    error.add_note(
        f"{len(failures)} of the call's {len(answers)} tasks were not enqueued, counted from 0: {shown}{more}; why "
        "each was not is in the error's `failures`",
    )
