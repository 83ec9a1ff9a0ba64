"""Our implementation as a side of the parity tests: our testbed, with everything below it as it is in production."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gae_broker import deferred, taskqueue
from gae_broker.domain import queue_yaml
from gae_broker.domain.queue import Queue, QueueFile
from gae_broker.errors import QueueYamlError
from gae_broker.taskqueue import taskqueue as client
from gae_broker.testing import testbed
from gae_broker.testing.stub import TaskQueueServiceStub
from gae_broker.testing.transactions import transaction
from tests.parity import player


class OurSide:
    """A fresh testbed of ours whose stub lives on the script's clock."""

    taskqueue: Any = taskqueue
    client: Any = client
    deferred: Any = deferred
    testbed: Any = testbed
    transaction: Callable[[], Any] = staticmethod(transaction)

    def __init__(self, clock: player.Clock, script: dict[str, Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name)
        if script.get("queue_yaml"):
            (root / "queue.yaml").write_text(script["queue_yaml"])
        self._dispatcher = player.Dispatcher()
        self._testbed = self.testbed.Testbed()
        self._testbed.activate()
        player.set_environment({**player.ENVIRONMENT, **script.get("environment", {})})
        self._stub = self._open(script, root_path=str(root), gettime=clock.time, request_data=self._dispatcher)
        stub = self._stub
        # Our virtual clock never shows the same time twice; here both sides' times are to be equal to the microsecond.
        stub.bench.clock.now_us = lambda: clock.now_us  # type: ignore[method-assign]

    def _open(self, script: dict[str, Any], **arguments: Any) -> TaskQueueServiceStub:  # noqa: ARG002 - for others
        self._testbed.init_taskqueue_stub(**arguments)
        stub: TaskQueueServiceStub = self._testbed.get_stub("taskqueue")
        return stub

    def namespace(self) -> dict[str, Any]:
        """See `player.Side`."""
        return {
            **{name: getattr(self.client, name) for name in vars(self.client) if not name.startswith("__")},
            "taskqueue": self.taskqueue,
            "deferred": self.deferred,
            "run": self._run,
            "stored": self._stored,
            "listed": lambda queue: player.listing(self._stub.GetTasks(queue)),
            "filtered": self._stub.get_filtered_tasks,
            "flush": self._stub.FlushQueue,
            "remove": self._stub.DeleteTask,
            "queues": self._stub.GetQueues,
            "pause": self._pause,
            "in_transaction": self._in_transaction,
            "read_queue_yaml": lambda text: player.unless_refused(read_queue_yaml, text, QueueYamlError),
            "read_queue_yaml_or_raise": read_queue_yaml,
        }

    def close(self) -> None:
        """See `player.Side`."""
        self._testbed.deactivate()
        self._folder.cleanup()

    def _run(self, *statuses: int, all_headers: bool = False) -> list[Any]:
        self._dispatcher.answer(statuses, show_all=all_headers)
        self._stub.bench.run_pending()
        return self._dispatcher.requests

    def _stored(self, queue: str = "default") -> list[Any]:
        return [
            (
                copy.name,
                player.milliseconds(copy.eta_us / 1e6),
                copy.content.url,
                copy.content.payload,
                copy.content.tag,
                copy.progress.tries,
            )
            for copy in self._stub.bench.copies(queue)
        ]

    def _pause(self, queue: str, paused: bool = True) -> None:
        controller = self._stub.bench.runtime.controller
        (controller.pause if paused else controller.resume)(queue)

    def _in_transaction(self, *calls: Any, rollback: bool = False) -> Any:
        outcomes: list[Any] = []

        def body() -> None:
            with self.transaction():
                given = [player.attempt(call) for call in calls]
                if rollback:
                    raise RuntimeError("roll back")
                outcomes.extend(given)

        result = player.attempt(body)
        return [*outcomes, "not committed" if isinstance(result, Exception) else "committed"]


def read_queue_yaml(text: str) -> Any:
    """A queue.yaml as plain values, in the shape of the oracle's."""
    file: QueueFile = queue_yaml.parse(text)
    return {
        "queues": [_queue(queue) for queue in file.queues.values() if queue.line],
        "total_storage_limit": file.total_storage_limit,
        "resume_paused_queues": None if file.resume_paused_queues is None else str(file.resume_paused_queues),
        "application": file.application,
    }


def _queue(queue: Queue) -> dict[str, Any]:
    retry = queue.retry
    return {
        "name": queue.name,
        "mode": queue.mode.value,
        "rate": queue.rate_per_s,
        "bucket_size": queue.bucket_size,
        "max_concurrent": queue.max_concurrent,
        "target": queue.target,
        "acl": [(entry.user_email, entry.writer_email) for entry in queue.acl],
        "retry": {
            "limit": retry.limit,
            "age_limit_s": retry.age_limit_s,
            "min_backoff_s": float(retry.min_backoff_s),
            "max_backoff_s": float(retry.max_backoff_s),
            "max_doublings": retry.max_doublings,
        },
    }
