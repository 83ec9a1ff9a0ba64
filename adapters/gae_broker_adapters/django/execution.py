"""Runs tasks of Django's Tasks framework. Deferred calls name `execute` of this module: it stays here.

With ``deferred_allow = ["gae_broker_adapters.django.execution.execute"]`` nothing but declared tasks can be called.
"""

from __future__ import annotations

import datetime
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from traceback import format_exception
from typing import Any

from django.utils import timezone
from django.utils.module_loading import import_string

from gae_broker_adapters.current_task import current_task
from gae_broker_adapters.django import tasks_api

_log = logging.getLogger(__name__)
_UNKNOWN_WORKER = "unknown"


def result_of(
    task: Any,  # noqa: ANN401 - of one of two packages
    name: str,
    alias: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    enqueued_at: datetime.datetime,
) -> Any:  # noqa: ANN401
    """What is known of a task that was enqueued.

    Raises:
        TypeError, ValueError: an argument is not JSON.
    """
    return tasks_api.base.TaskResult(
        task=task,
        id=name,
        status=tasks_api.base.TaskResultStatus.READY,
        enqueued_at=enqueued_at,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=list(args),
        kwargs=dict(kwargs),
        backend=alias,
        errors=[],
        worker_ids=[],
    )


def execute(alias: str, path: str, args: Sequence[Any], kwargs: Mapping[str, Any], enqueued_at: float) -> None:
    """Make one attempt.

    Args:
        alias: the backend's, in ``TASKS``.
        path: the task's ``module_path``.
        args: the call's.
        kwargs: the call's.
        enqueued_at: seconds since the epoch.

    Raises:
        Exception: whatever the task raised, so that it is tried again.
        ImportError, ValueError: there is no such task here.
    """
    task = import_string(path)
    if not isinstance(task, tasks_api.base.Task):
        raise ValueError(f"{path} is {type(task).__name__}, no task; is it still decorated with @task?")  # noqa: TRY004
    result = _started(task, alias, args, kwargs, enqueued_at)
    sender = type(tasks_api.framework.task_backends[alias])
    tasks_api.signals.task_started.send(sender, task_result=result)
    context = (tasks_api.base.TaskContext(task_result=result),) if task.takes_context else ()
    try:
        returned = task.call(*context, *result.args, **result.kwargs)
    except Exception as exc:
        kind = type(exc)
        error = tasks_api.base.TaskError(
            exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback="".join(format_exception(exc))
        )
        result.errors.append(error)
        _finish(sender, result, tasks_api.base.TaskResultStatus.FAILED)
        raise
    object.__setattr__(result, "_return_value", returned)
    _finish(sender, result, tasks_api.base.TaskResultStatus.SUCCESSFUL)


def _started(
    task: Any,  # noqa: ANN401
    alias: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    enqueued_at: float,
) -> Any:  # noqa: ANN401
    """The result of a task that begins; earlier attempts were made by whom we do not know."""
    headers = current_task()
    queue, name, earlier = (headers.queue, headers.name, headers.retry_count) if headers else (task.queue_name, "", 0)
    enqueued = datetime.datetime.fromtimestamp(enqueued_at, tz=datetime.UTC)
    result = result_of(task.using(queue_name=queue, backend=alias), name, alias, args, kwargs, enqueued)
    now = timezone.now()
    result.worker_ids.extend([*[_UNKNOWN_WORKER] * earlier, f"{socket.gethostname()}-{os.getpid()}"])
    for attribute, value in (
        ("status", tasks_api.base.TaskResultStatus.RUNNING),
        ("started_at", now),
        ("last_attempted_at", now),
    ):
        object.__setattr__(result, attribute, value)
    return result


def _finish(sender: type, result: Any, status: object) -> None:  # noqa: ANN401
    object.__setattr__(result, "finished_at", timezone.now())
    object.__setattr__(result, "status", status)
    tasks_api.signals.task_finished.send(sender, task_result=result)
