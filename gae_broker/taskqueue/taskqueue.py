"""The names of ``google.appengine.api.taskqueue.taskqueue``.

``from gae_broker import taskqueue`` replaces ``from google.appengine.api import taskqueue``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict, Unpack

from gae_broker.domain import limits, params, task_arguments
from gae_broker.domain.limits import (
    MAX_DISPATCH_DEADLINE,
    MAX_LEASE_SECONDS,
    MAX_PULL_TASK_SIZE_BYTES,
    MAX_PUSH_TASK_SIZE_BYTES,
    MAX_QUEUE_NAME_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TASK_NAME_LENGTH,
    MAX_TASKS_PER_ADD,
    MAX_TASKS_PER_LEASE,
    MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES,
    MAX_URL_LENGTH,
    MIN_DISPATCH_DEADLINE,
)
from gae_broker.errors import (
    BadTaskStateError,
    BadTransactionState,
    BadTransactionStateError,
    DatastoreError,
    DuplicateTaskNameError,
    Error,
    InternalError,
    InvalidDeadlineError,
    InvalidDispatchDeadlineError,
    InvalidEtaError,
    InvalidLeaseTimeError,
    InvalidMaxTasksError,
    InvalidQueueError,
    InvalidQueueModeError,
    InvalidQueueNameError,
    InvalidTagError,
    InvalidTaskError,
    InvalidTaskNameError,
    InvalidTaskRetryOptionsError,
    InvalidUrlError,
    PermissionDeniedError,
    QueuePausedError,
    TaskAlreadyExistsError,
    TaskLeaseExpiredError,
    TaskTooLargeError,
    TombstonedTaskError,
    TooManyTasksError,
    TransactionalRequestTooLargeError,
    TransientError,
    UnknownQueueError,
)
from gae_broker.taskqueue import content, host, task, utc
from gae_broker.taskqueue.calls import create_rpc
from gae_broker.taskqueue.host import (
    DEFAULT_APP_VERSION,
    Target,
)
from gae_broker.taskqueue.queue import Queue
from gae_broker.taskqueue.retry_options import TaskRetryOptions
from gae_broker.taskqueue.statistics import QueueStatistics
from gae_broker.taskqueue.task import Task

__all__ = [
    "DEFAULT_APP_VERSION",
    "MAX_DISPATCH_DEADLINE",
    "MAX_LEASE_SECONDS",
    "MAX_PULL_TASK_SIZE_BYTES",
    "MAX_PUSH_TASK_SIZE_BYTES",
    "MAX_QUEUE_NAME_LENGTH",
    "MAX_TAG_LENGTH",
    "MAX_TASKS_PER_ADD",
    "MAX_TASKS_PER_LEASE",
    "MAX_TASK_NAME_LENGTH",
    "MAX_TASK_SIZE_BYTES",
    "MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES",
    "MAX_URL_LENGTH",
    "MIN_DISPATCH_DEADLINE",
    "BadTaskStateError",
    "BadTransactionState",
    "BadTransactionStateError",
    "DatastoreError",
    "DuplicateTaskNameError",
    "Error",
    "InternalError",
    "InvalidDeadlineError",
    "InvalidDispatchDeadlineError",
    "InvalidEtaError",
    "InvalidLeaseTimeError",
    "InvalidMaxTasksError",
    "InvalidQueueError",
    "InvalidQueueModeError",
    "InvalidQueueNameError",
    "InvalidTagError",
    "InvalidTaskError",
    "InvalidTaskNameError",
    "InvalidTaskRetryOptionsError",
    "InvalidUrlError",
    "PermissionDeniedError",
    "Queue",
    "QueuePausedError",
    "QueueStatistics",
    "Task",
    "TaskAlreadyExistsError",
    "TaskLeaseExpiredError",
    "TaskRetryOptions",
    "TaskTooLargeError",
    "TombstonedTaskError",
    "TooManyTasksError",
    "TransactionalRequestTooLargeError",
    "TransientError",
    "UnknownQueueError",
    "add",
    "create_rpc",
]

MAX_TASK_SIZE_BYTES = MAX_PUSH_TASK_SIZE_BYTES

# Private on App Engine too, and used by clients and their tests.
_DEFAULT_QUEUE = task.DEFAULT_QUEUE
_DEFAULT_QUEUE_PATH = content.DEFAULT_QUEUE_PATH
_MAX_COUNTDOWN_SECONDS = limits.MAX_COUNTDOWN_SECONDS
_QUEUE_NAME_PATTERN = limits.QUEUE_NAME_PATTERN
_TASK_NAME_PATTERN = limits.TASK_NAME_PATTERN
_UNKNOWN_APP_VERSION = host.UNKNOWN_APP_VERSION
_UTC = utc.UTC
_UTCTimeZone = type(_UTC)
_DefaultAppVersionSingleton = type(DEFAULT_APP_VERSION)
_UnknownAppVersionSingleton = type(_UNKNOWN_APP_VERSION)
_TASK_NAME_RE = re.compile(_TASK_NAME_PATTERN)
_QUEUE_NAME_RE = re.compile(_QUEUE_NAME_PATTERN)
_RelativeUrlError = InvalidUrlError
_flatten_params = params.flatten


def _parse_relative_url(relative_url: str) -> tuple[str, str]:
    on_queue_url, path, query = task_arguments.split_url(relative_url)
    if on_queue_url:
        raise InvalidUrlError("the url is empty; give a path like '/work'")
    return path, query


def _open_queue(name: str) -> Queue:
    return Queue(name)  # whatever a test put into this module under that name


Task._queue_type = staticmethod(_open_queue)


class _TaskArguments(TypedDict, total=False):
    """The keywords of `Task`."""

    countdown: float | str | None
    eta: datetime | None
    headers: Mapping[str, object] | Iterable[tuple[str, object]] | None
    method: str
    name: str | bytes | None
    params: params.Params | None
    retry_options: TaskRetryOptions | None
    tag: str | bytes | None
    target: Target
    url: str | None
    dispatch_deadline_usec: int | None
    _size_check: bool


def add(
    payload: str | bytes | None = None,
    *,
    queue_name: str = _DEFAULT_QUEUE,
    transactional: bool = False,
    **arguments: Unpack[_TaskArguments],
) -> Task:
    """Make a `Task` of the arguments, and add it to a queue.

    Args:
        payload: as `Task`'s.
        queue_name: where to add it.
        transactional: add it when, and only if, the current transaction commits.
        **arguments: everything else that `Task` takes.

    Returns:
        The Task, with its name, marked as enqueued.

    Raises:
        gae_broker.errors.Error: what is wrong with the task, or what the service refused; see `Task`, `Queue.add`.
    """
    return Task(payload, **arguments).add(queue_name=queue_name, transactional=transactional)
