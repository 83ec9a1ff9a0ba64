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
    deadline_error = __import__("gae_broker.errors").errors.DeadlineExceededError("as a call raises it")

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
            raise type(self).deadline_error

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

QUEUES = """
import gae_broker_adapters.appengine, io
from google.appengine.api import queueinfo, taskqueue
from google.appengine.ext import testbed

TEXT = "queue:\\n- name: default\\n  rate: 10/s\\n- name: crazy-queue\\n  rate: 2000/d\\n  bucket_size: 10\\n"
TEXT += "- name: pull\\n  mode: pull\\n  retry_parameters:\\n    task_retry_limit: 3\\n"
TEXT += "  acl:\\n  - user_email: a@example.com\\n"
bed = testbed.Testbed()
bed.activate()
bed.init_taskqueue_stub()
stub = bed.get_stub(testbed.TASKQUEUE_SERVICE_NAME)
stub.queue_yaml_parser = lambda root: queueinfo.LoadSingleQueue(TEXT)
taskqueue.add(url="/x", queue_name="crazy-queue")
taskqueue.Queue("pull").add(taskqueue.Task("x", method="PULL"))
assert [queue["name"] for queue in stub.GetQueues()] == ["crazy-queue", "default", "pull"]
bed.deactivate()

info = queueinfo.LoadSingleQueue(io.BytesIO(TEXT.encode()))
assert [(entry.name, entry.rate, entry.mode) for entry in info.queue] == [
    ("default", "10/s", None), ("crazy-queue", "2000/d", None), ("pull", None, "pull")]
assert info.queue[2].retry_parameters.task_retry_limit == 3
assert info.ToDict()["queue"][2]["acl"] == [{"user_email": "a@example.com"}]
assert queueinfo.ParseRate("30/m") == 0.5 and queueinfo.ParseRate("0") == 0.0
assert queueinfo.LoadSingleQueue("queue:\\n").queue is None
for wrong in (lambda: queueinfo.LoadSingleQueue("queue:\\n- nmae: x\\n"), lambda: queueinfo.ParseRate("5/x")):
    try:
        wrong()
    except queueinfo.MalformedQueueConfiguration:
        continue
    raise AssertionError(wrong)
"""

TASKLETS = """
import gae_broker_adapters.appengine
from google.appengine.api import taskqueue
import google.protobuf
from google.auth import credentials
from google.cloud import ndb
from gae_broker.testing.bench import TaskBench

client = ndb.Client(project="test", credentials=credentials.AnonymousCredentials())

@ndb.tasklet
def add():
    task = yield taskqueue.Task(url="/x").add_async()
    try:
        yield taskqueue.Queue("nowhere").add_async(taskqueue.Task(url="/x"))
    except taskqueue.UnknownQueueError:
        raise ndb.Return(task.was_enqueued)

with TaskBench(), client.context():
    assert add().result() is True
assert "site-packages" in google.protobuf.__file__
"""

WRAPPED = """
import gae_broker_adapters.appengine, io, os
from google.appengine.api import taskqueue, wrap_wsgi_app
from google.appengine.ext import deferred
from gae_broker.testing.bench import TaskBench

made = []

def plain(environ, start_response):
    made.append(taskqueue.Task(url="/x").headers.get("Host"))
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]

app = wrap_wsgi_app(plain, use_deferred=True)
with TaskBench(app=app) as bench:
    deferred.defer(made.append, "deferred")
    taskqueue.add(url="/y")
    assert [run.status for run in bench.run_all()] == [200, 200]
assert len(made) == 1, made  # the deferred call appended to its own copy of the list

def ask(app, path, **environ):
    answers = []
    given = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "wsgi.input": io.BytesIO(), "HTTP_HOST": "shop.example.com"}
    app({**given, **environ}, lambda status, headers: answers.append(status))
    return answers[0]

assert ask(app, "/") == "200 OK"
assert made[-1] == "shop.example.com"
assert ask(app, "/_ah/queue/deferred").startswith("403")
assert ask(wrap_wsgi_app(plain), "/_ah/queue/deferred") == "200 OK"
os.environ["GAE_BROKER_SIGNING_KEYS"] = "k1:" + "0123456789abcdef" * 4
signed = wrap_wsgi_app(plain, use_deferred=True)
assert ask(signed, "/_ah/queue/mail", HTTP_X_APPENGINE_QUEUENAME="mail").startswith("403")
"""

REACHED_INTO = """
import gae_broker_adapters.appengine
from datetime import datetime
from google.appengine.api import apiproxy_stub_map, taskqueue
from google.appengine.api.taskqueue import taskqueue_stub
from google.appengine.ext import deferred, testbed
from google.appengine.ext.deferred.deferred import run_from_datastore, serialize, taskqueue as theirs
from google.appengine.runtime import DeadlineExceededError, apiproxy_errors

assert theirs is deferred.taskqueue is taskqueue
before = apiproxy_stub_map.apiproxy
assert before.GetStub("taskqueue") is None
bed = testbed.Testbed()
bed.activate()
assert apiproxy_stub_map.apiproxy.GetStub("taskqueue") is None
for _ in range(2):
    bed.init_taskqueue_stub()
    stub = apiproxy_stub_map.apiproxy.GetStub("taskqueue")
    assert stub is bed.get_stub("taskqueue") is apiproxy_stub_map.apiproxy._APIProxyStubMap__stub_map["taskqueue"]
taskqueue.add(url="/x", name="only", countdown=60)
(listed,) = stub.GetTasks("default")
assert isinstance(stub, taskqueue_stub.TaskQueueServiceStub) and stub._get_filtered_task_dicts() == [listed]
assert taskqueue_stub.ConvertTaskDictToTaskObject(listed).url == "/x"
assert isinstance(stub._GetGroup(), taskqueue_stub._Group)
assert isinstance(stub._GetGroup().GetQueue("default"), taskqueue_stub._Queue)
bed.init_taskqueue_stub(enable=False)
assert apiproxy_stub_map.apiproxy.GetStub("taskqueue") is None
bed.deactivate()
assert apiproxy_stub_map.apiproxy is before

proxy = apiproxy_stub_map.GetDefaultAPIProxy()
proxy.SetDefaultStub("any")
proxy.RegisterStub("mail", "its own")
assert (proxy.GetStub("mail"), proxy.GetStub("user")) == ("its own", "any")
assert taskqueue_stub._UsecToSec(taskqueue_stub._SecToUsec(1.5)) == 1.5
assert taskqueue_stub._EtaDelta(0, datetime(1970, 1, 1, 0, 1)) == "0:01:00 ago"
assert taskqueue_stub._EtaDelta(90_000_000, datetime(1970, 1, 1)) == "0:01:30 from now"
assert taskqueue_stub.TIME_STR_FMT == "%Y/%m/%d %H:%M:%S"
assert not issubclass(DeadlineExceededError, Exception)
assert "deadline" in str(DeadlineExceededError())
refused = apiproxy_errors.ApplicationError(3, "why")
assert (refused.application_error, str(refused)) == (3, "ApplicationError: 3 why")
assert issubclass(apiproxy_errors.OverQuotaError, apiproxy_errors.Error)
"""

LATE = """
import sys, types
for name in ("google", "google.appengine", "google.appengine.api", "google.appengine.api.taskqueue"):
    sys.modules[name] = types.ModuleType(name)
import gae_broker_adapters.appengine
"""


PROGRAMS = {
    "suite": SUITE,
    "identity": IDENTITY,
    "queues": QUEUES,
    "wrapped": WRAPPED,
    "reached into": REACHED_INTO,
}


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


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_with_their_original_imports(tmp_path: Path, program: str) -> None:
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_tasklets_of_google_cloud_ndb_yield_what_the_old_names_make(tmp_path: Path) -> None:
    pytest.importorskip("google.cloud.ndb")
    done = run(
        TASKLETS.replace("import gae", "import warnings; warnings.simplefilter('ignore')\nimport gae", 1), tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_coming_too_late_is_said(tmp_path: Path) -> None:
    done = run(LATE, tmp_path)
    assert done.returncode == 1
    assert "google.appengine.api.taskqueue was imported before gae-broker took its place" in done.stderr
