"""A backend for Django's Tasks framework: each task is a deferred call in the queue of its name.

::

    TASKS = {"default": {"BACKEND": "gae_broker_adapters.django.tasks.GaeTaskBackend", "QUEUES": ["default", "mail"]}}
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from gae_broker import deferred
from gae_broker.domain import queue_yaml
from gae_broker.domain.queue import Mode, QueueFile
from gae_broker.engine import transactions
from gae_broker.engine.enqueue import MAX_ETA_US
from gae_broker.errors import ConfigurationError
from gae_broker.settings import Settings
from gae_broker_adapters.django import tasks_api
from gae_broker_adapters.django.execution import execute, result_of

_OPTIONS = {"transactional"}
_FARTHEST = datetime.timedelta(microseconds=MAX_ETA_US)


class GaeTaskBackend(tasks_api.BaseTaskBackend):  # type: ignore[misc]  # of one of two packages, neither known to mypy
    """Runs tasks on push queues: rates, concurrency and retries are those of ``queue.yaml``.

    A task's result is known to nobody once it has run, so it cannot be asked for; its id is the task's name in its
    queue.
    A task that raises is tried again on the queue's schedule: ``task_retry_limit: 0`` for never. It may run twice.

    ``OPTIONS = {"transactional": True}``: what is enqueued within ``transaction.atomic()`` joins that transaction, as
    ``taskqueue.add(transactional=True)`` does; by default it is enqueued at once, as the framework has it.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = False
    supports_priority = False

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._is_transactional = bool(self.options.get("transactional", False))

    def validate_task(self, task: Any) -> None:  # noqa: ANN401 - of one of two packages
        """As the framework does, and no task is later than a queue takes it.

        Raises:
            InvalidTask: it cannot be enqueued as it is.
        """
        super().validate_task(task)
        now = timezone.now() if task.run_after is None or timezone.is_aware(task.run_after) else datetime.datetime.now()  # noqa: DTZ005
        if task.run_after is not None and task.run_after - now > _FARTHEST:
            raise tasks_api.InvalidTask(
                f"run_after is more than {_FARTHEST.days} days from now; a queue keeps none longer."
            )

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Add the task to its queue.

        Raises:
            InvalidTask: it cannot be enqueued as it is.
            gae_broker.errors.Error: as `taskqueue.add`; the queue is unknown, the broker cannot be reached.
            TypeError, ValueError: an argument is not JSON.
        """
        self.validate_task(task)
        if getattr(_imported(task.module_path), "func", None) is not task.func:
            raise tasks_api.InvalidTask(f"{task.module_path} is not the task: workers could not find it by that name.")
        joins = self._is_transactional and transactions.current() is not None
        enqueued_at = timezone.now()
        result = result_of(task, "", self.alias, args, kwargs, enqueued_at)
        call = (self.alias, task.module_path, result.args, result.kwargs, enqueued_at.timestamp())
        added = deferred.defer(execute, *call, _queue=task.queue_name, _eta=task.run_after, _transactional=joins)
        object.__setattr__(result, "id", added.name)
        tell = partial(tasks_api.signals.task_enqueued.send, type(self), task_result=result)
        if joins:
            transaction.on_commit(tell)
        else:
            tell()
        return result

    def check(self, **_: Any) -> Iterator[CheckMessage]:  # noqa: ANN401
        """What ``manage.py check`` says: unknown options; queues that are not there, or that nobody dispatches."""
        for option in sorted(set(self.options) - _OPTIONS):
            yield Error(
                f"TASKS[{self.alias!r}]: OPTIONS has no {option!r}.",
                hint=f"It has: {', '.join(sorted(_OPTIONS))}.",
                id="gae_broker.E005",
            )
        file = _queues()
        if file is None:
            return
        for name in sorted(self.queues):
            queue = file.queues.get(name)
            if queue is None or queue.mode is Mode.PULL:
                fault = "is not in queue.yaml" if queue is None else "is a pull queue, which runs no tasks"
                yield Error(
                    f"TASKS[{self.alias!r}]: the queue {name!r} {fault}.",
                    hint="Add a push queue of this name to queue.yaml, or take it out of QUEUES.",
                    id="gae_broker.E006",
                )


def _imported(path: str) -> object:
    try:
        return import_string(path)
    except ImportError:
        return None


def _queues() -> QueueFile | None:
    """The queues of queue.yaml; ``None`` where it cannot be used, of which another check tells."""
    try:
        name = Settings.load().queue_yaml
        return queue_yaml.load_path(name) if Path(name).exists() else QueueFile()
    except ConfigurationError:
        return None
