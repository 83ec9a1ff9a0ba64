"""App Engine's own library as a side of the parity tests; runs in its own environment, one JSON line per script."""

from __future__ import annotations

import os
import tempfile
import time
import types
from pathlib import Path
from typing import Any

os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"  # else batch adds lose the names that the stub chose

import player
from google.appengine.api import namespace_manager, queueinfo, taskqueue, yaml_errors
from google.appengine.ext import db, deferred, testbed

from google.appengine.api.taskqueue import taskqueue as client  # isort: skip
from google.appengine.api.taskqueue import taskqueue_service_bytes_pb2  # isort: skip


class OracleSide:
    """A fresh testbed whose stub lives on the script's clock."""

    def __init__(self, clock: player.Clock, script: dict[str, Any]) -> None:
        self._clock = clock
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name)
        if script.get("queue_yaml"):
            (root / "queue.yaml").write_text(script["queue_yaml"])
        self._testbed = testbed.Testbed()
        self._testbed.activate()
        player.set_environment({**player.ENVIRONMENT, **script.get("environment", {})})  # over the testbed's own
        self._dispatcher = player.Dispatcher()
        self._testbed.init_taskqueue_stub(root_path=str(root), gettime=clock.time)
        if script.get("datastore"):
            self._testbed.init_datastore_v3_stub()
        self._stub = self._testbed.get_stub("taskqueue")
        scheduler = self._stub._task_scheduler
        scheduler._get_time = clock.time
        scheduler.task_executor._request_data = self._dispatcher
        client.time = types.SimpleNamespace(time=clock.time, mktime=time.mktime)
        namespace_manager.set_namespace("")

    def namespace(self) -> dict[str, Any]:
        """See `player.Side`."""
        return {
            **{name: getattr(client, name) for name in vars(client) if not name.startswith("__")},
            "taskqueue": taskqueue,
            "deferred": deferred,
            "run": self._run,
            "stored": self._stored,
            "listed": lambda queue: player.listing(self._stub.GetTasks(queue)),
            "filtered": self._stub.get_filtered_tasks,
            "flush": self._stub.FlushQueue,
            "remove": self._stub.DeleteTask,
            "queues": self._stub.GetQueues,
            "pause": self._pause,
            "in_transaction": self._in_transaction,
            "read_queue_yaml": lambda text: player.unless_refused(read_queue_yaml, text, REFUSALS),
            "read_queue_yaml_or_raise": read_queue_yaml,
            "set_namespace": namespace_manager.set_namespace,
        }

    def close(self) -> None:
        """See `player.Side`."""
        self._testbed.deactivate()
        self._folder.cleanup()

    def _run(self, *statuses: int, all_headers: bool = False) -> list[Any]:
        """Run the push tasks that are due, answering with these statuses, then with 200."""
        self._dispatcher.answer(statuses, show_all=all_headers)
        self._stub._GetGroup()._ReloadQueuesFromYaml()
        self._stub._task_scheduler._ProcessQueues()
        return self._dispatcher.requests

    def _stored(self, queue: str = "default") -> list[Any]:
        """What a queue holds, in eta order: name, eta in ms, method, url, body, tag."""
        self._stub._GetGroup()._ReloadQueuesFromYaml()
        tasks = self._stub._GetGroup().GetQueue(queue)._GetTasks()
        return [
            (
                _text(task.task_name),
                player.milliseconds(task.eta_usec / 1e6),
                _text(task.url),
                task.body,
                _text(task.tag) if task.HasField("tag") else None,
                task.retry_count,
            )
            for task in tasks
        ]

    def _pause(self, queue: str, paused: bool = True) -> None:
        self._stub._GetGroup()._ReloadQueuesFromYaml()
        self._stub._GetGroup().GetQueue(queue).paused = paused

    def _in_transaction(self, *calls: Any, rollback: bool = False) -> Any:
        """Make calls inside of a datastore transaction; what each gave or raised."""

        def body() -> list[Any]:
            given = [player.attempt(call) for call in calls]
            if rollback:
                raise db.Rollback
            outcomes.extend(given)
            return given

        outcomes: list[Any] = []
        result = player.attempt(lambda: db.run_in_transaction(body))
        return [*outcomes, "committed" if not isinstance(result, Exception) and not rollback else "not committed"]


REFUSALS = (queueinfo.MalformedQueueConfiguration, yaml_errors.Error)
_DEFAULT_RETRY = taskqueue_service_bytes_pb2.TaskQueueRetryParameters()


def read_queue_yaml(text: str) -> Any:
    """A queue.yaml as plain values; App Engine keeps the text of most of them. Documented defaults are filled in."""
    info = queueinfo.LoadSingleQueue(text)
    queues = []
    for entry in info.queue or []:
        retry = entry.retry_parameters
        translated = queueinfo.TranslateRetryParameters(retry) if retry else _DEFAULT_RETRY
        queues.append(
            {
                "name": entry.name,
                "mode": entry.mode or "push",
                "rate": 5.0 if entry.rate is None else queueinfo.ParseRate(entry.rate),
                "bucket_size": 5 if entry.bucket_size is None else entry.bucket_size,
                "max_concurrent": 1000 if entry.max_concurrent_requests is None else entry.max_concurrent_requests,
                "target": entry.target,
                "acl": [(acl.user_email, acl.writer_email) for acl in entry.acl or []],
                "retry": _retry(translated),
            },
        )
    limit = info.total_storage_limit
    return {
        "queues": queues,
        "total_storage_limit": None if limit is None else queueinfo.ParseTotalStorageLimit(limit),
        "resume_paused_queues": info.resume_paused_queues,
        "application": info.application,
    }


def _retry(parameters: Any) -> dict[str, Any]:
    names = {
        "limit": "retry_limit",
        "age_limit_s": "age_limit_sec",
        "min_backoff_s": "min_backoff_sec",
        "max_backoff_s": "max_backoff_sec",
        "max_doublings": "max_doublings",
    }
    limits = {"limit", "age_limit_s"}
    return {
        ours: None if ours in limits and not parameters.HasField(theirs) else getattr(parameters, theirs)
        for ours, theirs in names.items()
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    player.serve(OracleSide)
