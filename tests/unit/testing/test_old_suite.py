"""A suite in the manner of App Engine's documentation; of it only the import lines were changed."""
# ruff: noqa: PT009 - unittest is what such suites are written with

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from gae_broker import deferred, taskqueue
from gae_broker.testing import testbed

QUEUE_YAML = """\
queue:
- name: queue-1
  rate: 1/s
- name: queue-2
  rate: 1/s
"""


def increment(counter: list[int]) -> None:
    counter.append(1)


class OldSuite(unittest.TestCase):
    """As Google's documentation shows it."""

    def setUp(self) -> None:
        self.root = tempfile.TemporaryDirectory()
        Path(self.root.name, "queue.yaml").write_text(QUEUE_YAML)
        self.testbed = testbed.Testbed()
        self.testbed.activate()
        self.testbed.init_taskqueue_stub(root_path=self.root.name)
        stub = self.testbed.get_stub(testbed.TASKQUEUE_SERVICE_NAME)
        assert stub is not None
        self.taskqueue_stub = stub

    def tearDown(self) -> None:
        self.testbed.deactivate()
        self.root.cleanup()

    def test_task_added_to_queue(self) -> None:
        taskqueue.Task(name="my_task", url="/url/of/task/").add()
        tasks = self.taskqueue_stub.get_filtered_tasks()
        self.assertEqual(len(tasks), 1)
        self.assertEqual(tasks[0].name, "my_task")

    def test_filtering(self) -> None:
        taskqueue.Task(name="task_one", url="/url/of/task/1/").add("queue-1")
        taskqueue.Task(name="task_two", url="/url/of/task/2/").add("queue-2")
        self.assertEqual(len(self.taskqueue_stub.get_filtered_tasks()), 2)
        for filters in (
            {"url": "/url/of/task/1/"},
            {"name": "task_one"},
            {"queue_names": "queue-1"},
        ):
            (task,) = self.taskqueue_stub.get_filtered_tasks(**filters)  # type: ignore[arg-type]
            self.assertEqual(task.name, "task_one")
        self.assertEqual(len(self.taskqueue_stub.get_filtered_tasks(queue_names=["queue-1", "queue-2"])), 2)

    def test_deferred(self) -> None:
        deferred.defer(increment, [])
        (task,) = self.taskqueue_stub.get_filtered_tasks()
        self.assertEqual(task.url, "/_ah/queue/deferred")
        self.assertIsInstance(task.payload, bytes)
        deferred.run(task.payload)
