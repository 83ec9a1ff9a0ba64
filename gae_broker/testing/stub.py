"""App Engine's task queue stub, as test suites know it, over a `TaskBench`.

Source: ``taskqueue_stub.TaskQueueServiceStub`` of the reference implementation. Names are App Engine's.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from gae_broker import taskqueue
from gae_broker.testing.auto_running import AutoRunner
from gae_broker.testing.bench import TaskBench
from gae_broker.testing.listings import QueueDict, TaskDict, format_eta, parse_eta
from gae_broker.testing.queue_source import Parser, Queues, QueueSource
from gae_broker.testing.request_data import RequestDataApplications
from gae_broker.testing.stub_queue import StubGroup

_FormatEta = format_eta
"""Suites that want etas in another form replace it: ``stub.GetTasks.__globals__["_FormatEta"] = ...``."""


class TaskQueueServiceStub:
    """What `Testbed.get_stub` answers with for the task queue.

    Args:
        service_name: ``taskqueue``.
        root_path: a folder with queue.yaml or queue.yml.
        queue_config_path: a queue.yaml; supersedes ``root_path``.
        auto_task_running: whether `StartBackgroundExecution` may run tasks as they come due.
        task_retry_seconds: without meaning, as in App Engine's.
        default_http_server: without meaning; a target is resolved by name.
        request_data: an object whose ``get_dispatcher().add_request(...)`` runs a task (App Engine's
            ``request_info``); ``None`` runs them into ``app``.
        gettime: seconds since the epoch; ``None`` is the system's time.
        app: the application that tasks run into. Differs from App Engine: its stub knew none.
        queues: the queues as `read_queues` takes them, where there is no file. Differs from App Engine: an addition.

    Raises:
        QueueYamlError: queue.yaml cannot be used.
    """

    def __init__(  # noqa: PLR0913  (App Engine's)
        self,
        service_name: str = "taskqueue",
        root_path: str | None = None,
        queue_config_path: str | None = None,
        auto_task_running: bool = False,
        task_retry_seconds: int = 30,
        _all_queues_valid: bool = False,
        default_http_server: str = "localhost",
        _testing_validate_state: bool = False,
        request_data: object = None,
        gettime: Callable[[], float] | None = None,
        *,
        app: object = None,
        queues: Queues = None,
    ) -> None:
        self.service_name = service_name
        self.request_data = request_data
        self._task_retry_seconds = task_retry_seconds
        self._default_http_server = default_http_server
        self._testing_validate_state = _testing_validate_state
        self._source = QueueSource(root_path, queue_config_path)
        self.bench = TaskBench(
            queues,
            app=app,
            applications=None if request_data is None else partial(RequestDataApplications, request_data),
            source=self._source,
            all_valid=_all_queues_valid,
            gettime=gettime,
        )
        self._auto_task_running = auto_task_running
        self._auto_runner = AutoRunner(self.bench)
        self._queues: dict[str | None, StubGroup] = {None: StubGroup(self.bench)}

    # ------------------------------------------------------------------------------ looking at tasks

    def get_filtered_tasks(
        self,
        url: str | None = None,
        name: str | None = None,
        queue_names: str | Iterable[str] | None = None,
    ) -> list[taskqueue.Task]:
        """The tasks that fit, queue by queue, in order of eta.

        As in App Engine's stub, pull tasks come back with method POST and url ``''``, etas have whole seconds, and
        the headers contain the ``X-AppEngine-*`` ones.

        Args:
            url: the task's whole url.
            name: the task's name.
            queue_names: one queue or several; unknown ones are ignored.
        """
        return [to_task(task) for task in self._get_filtered_task_dicts(url, name, queue_names)]

    def GetTasks(self, queue_name: str) -> list[TaskDict]:  # noqa: N802
        """A queue's tasks in order of eta.

        Raises:
            KeyError: there is no such queue.
        """
        tasks = self._GetGroup().GetQueue(queue_name).GetTasksAsDicts()
        return [{**task, "eta": _FormatEta(task["eta_usec"])} for task in tasks]

    def GetQueues(self) -> list[QueueDict]:  # noqa: N802
        """All queues in order of name."""
        return self._GetGroup().GetQueuesAsDicts()

    # ------------------------------------------------------------------------------ changing them

    def DeleteTask(self, queue_name: str, task_name: str) -> None:  # noqa: N802
        """Remove a task; its name is free again. Unknown queues and tasks are ignored."""
        if self._GetGroup().HasQueue(queue_name):
            self.bench.forget(queue_name, [task_name])

    def FlushQueue(self, queue_name: str) -> None:  # noqa: N802
        """Remove all tasks of a queue; all names are free again. An unknown queue is ignored."""
        if self._GetGroup().HasQueue(queue_name):
            self.bench.forget(queue_name, None)

    def Clear(self) -> None:  # noqa: N802
        """Remove every task of every queue, and take the time from the system again."""
        for queue in self.GetQueues():
            self.FlushQueue(queue["name"])
        self.bench.clock.follow(None)

    # ------------------------------------------------------------------------------ running them

    def EnableAutoTaskRunning(self) -> None:  # noqa: N802
        """Run tasks as they come due, in a thread, until `Shutdown`."""
        self._auto_task_running = True
        self.StartBackgroundExecution()

    def StartBackgroundExecution(self) -> None:  # noqa: N802
        """As `EnableAutoTaskRunning`, if the stub was made with ``auto_task_running``."""
        if self._auto_task_running:
            self._auto_runner.start()

    def Shutdown(self) -> None:  # noqa: N802
        """Stop running tasks; the one under way ends first."""
        self._auto_runner.stop()

    def close(self) -> None:
        """Stop running tasks and forget them all."""
        self.Shutdown()
        self.bench.close()

    # ------------------------------------------------------------------------------ what suites set

    @property
    def queue_yaml_parser(self) -> Parser | None:
        """Called with the root path for a ``QueueInfoExternal``, in place of reading a file."""
        return self._source.parser

    @queue_yaml_parser.setter
    def queue_yaml_parser(self, parser: Parser | None) -> None:
        self._source.parser = parser

    @property
    def gettime(self) -> Callable[[], float]:
        """The stub's time in seconds since the epoch; may be replaced."""
        return self.bench.clock.time

    @gettime.setter
    def gettime(self, gettime: Callable[[], float]) -> None:
        self.bench.clock.follow(gettime)

    @property
    def _root_path(self) -> str | None:
        return self._source.root_path

    @_root_path.setter
    def _root_path(self, path: str | None) -> None:
        self._source.root_path = path

    @property
    def _queue_config_path(self) -> str | None:
        return self._source.config_path

    @_queue_config_path.setter
    def _queue_config_path(self, path: str | None) -> None:
        self._source.config_path = path

    @property
    def _all_queues_valid(self) -> bool:
        return self.bench.runtime.catalog.all_valid

    @_all_queues_valid.setter
    def _all_queues_valid(self, valid: bool) -> None:
        self.bench.runtime.catalog.all_valid = valid

    def _GetGroup(self, app_id: str | None = None) -> StubGroup:  # noqa: N802
        """The group of queues; there is one, whatever the application."""
        return self._queues.setdefault(app_id, self._queues[None])

    def _get_filtered_task_dicts(
        self,
        url: str | None = None,
        name: str | None = None,
        queue_names: str | Iterable[str] | None = None,
    ) -> Sequence[TaskDict]:
        known = sorted(self._GetGroup().GetQueues())
        wanted = known if queue_names is None else [queue_names] if isinstance(queue_names, str) else queue_names
        tasks = [task for queue in wanted if queue in known for task in self.GetTasks(queue)]
        return [task for task in tasks if url in (None, task["url"]) and name in (None, task["name"])]


def to_task(listed: TaskDict) -> taskqueue.Task:
    """A Task of what `TaskQueueServiceStub.GetTasks` lists."""
    payload = base64.b64decode(listed["body"])
    return taskqueue.Task(
        payload,
        name=listed["name"],
        method=listed["method"],
        url=listed["url"],
        headers={**dict(listed["headers"]), "Content-Length": str(len(payload))},
        eta=parse_eta(listed["eta"]),
        _size_check=False,
    )
