"""App Engine's import names, answered by our modules: each program runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SUITE = """
import gae_broker_adapters.appengine
import base64, unittest
from unittest import mock

from google.appengine.api import apiproxy_stub_map, taskqueue
from google.appengine.api.taskqueue import Task, TaskAlreadyExistsError, taskqueue_stub
from google.appengine.ext import deferred, testbed
from google.appengine.runtime import apiproxy_errors

ran = []

def step(number):
    ran.append(number)
    if number:
        deferred.defer(step, number - 1)

class OldSuite(unittest.TestCase):
    def setUp(self):
        self.testbed = testbed.Testbed()
        self.testbed.activate()
        self.testbed.init_taskqueue_stub(_all_queues_valid=True)
        self.stub = self.testbed.get_stub(testbed.TASKQUEUE_SERVICE_NAME)

    def tearDown(self):
        self.testbed.deactivate()

    def test_deferred_steps(self):
        deferred.defer(step, 3)
        while tasks := self.stub.GetTasks("default"):
            self.stub.FlushQueue("default")
            for task in tasks:
                deferred.run(base64.b64decode(task["body"]))
        self.assertEqual(ran, [3, 2, 1, 0])

    @mock.patch("google.appengine.api.taskqueue.Queue.add")
    def test_a_patched_name(self, add):
        taskqueue.Queue("any").add(Task(url="/x"))
        self.assertTrue(add.called)

    def test_errors(self):
        Task(url="/x", name="n").add()
        with self.assertRaises(TaskAlreadyExistsError):
            Task(url="/x", name="n").add()
        with self.assertRaises(apiproxy_errors.DeadlineExceededError):
            Task(url="/x").add_async(rpc=taskqueue.create_rpc(deadline=1e-9)).get_result()

    def test_a_registered_stub_is_the_one_in_use(self):
        apiproxy_stub_map.apiproxy = apiproxy_stub_map.APIProxyStubMap()
        stub = taskqueue_stub.TaskQueueServiceStub()
        apiproxy_stub_map.apiproxy.RegisterStub("taskqueue", stub)
        taskqueue.add(url="/registered")
        self.assertEqual([task.url for task in stub.get_filtered_tasks()], ["/registered"])
        self.assertEqual(self.stub.get_filtered_tasks(), [])
        apiproxy_stub_map.apiproxy = apiproxy_stub_map.APIProxyStubMap()
        stub.close()

unittest.main()
"""

IDENTITY = """
import gae_broker_adapters.appengine, gae_broker_adapters.appengine
import google.appengine.api.taskqueue.taskqueue, google.appengine.ext.deferred.deferred
import google.appengine.api.labs.taskqueue
from google.appengine.api import taskqueue
import gae_broker.taskqueue.taskqueue, gae_broker.deferred, importlib, pickle, sys

assert taskqueue is gae_broker.taskqueue is google.appengine.api.labs.taskqueue
assert google.appengine.api.taskqueue.taskqueue is gae_broker.taskqueue.taskqueue
assert google.appengine.ext.deferred is gae_broker.deferred
assert taskqueue.__spec__.name == "gae_broker.taskqueue"
options = pickle.loads(pickle.dumps(taskqueue.TaskRetryOptions(task_retry_limit=3)))
assert type(options) is taskqueue.TaskRetryOptions
for name in ("google.appengine.api.taskqueue.queue", "google.appengine.ext.db", "google.appengine.api.memcache"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as exc:
        assert exc.name == name, exc
    else:
        raise AssertionError(name)
assert not [name for name, module in sys.modules.items() if "google/appengine" in str(getattr(module, "__file__", ""))]
"""

LATE = """
import sys, types
for name in ("google", "google.appengine", "google.appengine.api", "google.appengine.api.taskqueue"):
    sys.modules[name] = types.ModuleType(name)
import gae_broker_adapters.appengine
"""


def run(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "program.py"
    script.write_text(program)
    return subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("program", [SUITE, IDENTITY], ids=["suite", "identity"])
def test_programs_with_their_original_imports(tmp_path: Path, program: str) -> None:
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_coming_too_late_is_said(tmp_path: Path) -> None:
    done = run(LATE, tmp_path)
    assert done.returncode == 1
    assert "google.appengine.api.taskqueue was imported before gae-broker took its place" in done.stderr
