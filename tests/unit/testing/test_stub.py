"""App Engine's stub: what test suites call, and what they reach into."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from gae_broker import taskqueue
from gae_broker.testing.stub import TaskQueueServiceStub

NO_RETRY = taskqueue.TaskRetryOptions(task_retry_limit=0)

YAML = """\
queue:
- name: mail
  rate: 2/s
- name: labels
  mode: pull
"""


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[TaskQueueServiceStub]:
    (tmp_path / "queue.yaml").write_text(YAML)
    stub = TaskQueueServiceStub(root_path=str(tmp_path))
    stub.bench.install()
    yield stub
    stub.close()


def names(tasks: list[taskqueue.Task]) -> list[str | None]:
    return [task.name for task in tasks]


class TestFilteredTasks:
    """``get_filtered_tasks``, which most suites look at."""

    @pytest.fixture(autouse=True)
    def _tasks(self, stub: TaskQueueServiceStub) -> None:  # noqa: ARG002  (installed before tasks are added)
        taskqueue.add(url="/b", name="b1", countdown=20)
        taskqueue.add(url="/a", name="a1", countdown=10)
        taskqueue.add(url="/a", name="a2", queue_name="mail", params={"x": "1"})
        taskqueue.Queue("labels").add(taskqueue.Task(payload="p", method="PULL", name="p1", tag="t"))

    def test_all(self, stub: TaskQueueServiceStub) -> None:
        assert names(stub.get_filtered_tasks()) == ["a1", "b1", "p1", "a2"]

    def test_by_url(self, stub: TaskQueueServiceStub) -> None:
        assert names(stub.get_filtered_tasks(url="/a")) == ["a1", "a2"]

    def test_by_name(self, stub: TaskQueueServiceStub) -> None:
        assert names(stub.get_filtered_tasks(name="b1")) == ["b1"]

    def test_by_all(self, stub: TaskQueueServiceStub) -> None:
        assert names(stub.get_filtered_tasks("/a", "a2", ["mail"])) == ["a2"]
        assert stub.get_filtered_tasks("/b", "a2", ["mail"]) == []

    @pytest.mark.parametrize(
        ("queue_names", "expected"),
        [("mail", ["a2"]), (["mail", "default"], ["a2", "a1", "b1"]), (["nope"], []), ("nope", []), ([], [])],
    )
    def test_by_queue(self, stub: TaskQueueServiceStub, queue_names: str | list[str], expected: list[str]) -> None:
        assert names(stub.get_filtered_tasks(queue_names=queue_names)) == expected

    def test_a_task_is_a_task(self, stub: TaskQueueServiceStub) -> None:
        (task,) = stub.get_filtered_tasks(name="a2")
        assert isinstance(task, taskqueue.Task)
        assert (task.url, task.method, task.payload) == ("/a", "POST", b"x=1")
        assert task.extract_params() == {b"x": b"1"}
        assert task.headers["X-AppEngine-QueueName"] == "mail"
        assert task.headers["X-AppEngine-TaskName"] == "a2"
        assert task.headers["Content-Length"] == "3"
        assert not task.was_enqueued

    def test_an_eta_has_whole_seconds(self, stub: TaskQueueServiceStub) -> None:
        added = taskqueue.add(url="/c", countdown=10)
        (task,) = stub.get_filtered_tasks(url="/c")
        assert task.eta == added.eta.replace(microsecond=0)

    def test_a_pull_task_reads_post(self, stub: TaskQueueServiceStub) -> None:
        (task,) = stub.get_filtered_tasks(queue_names="labels")
        assert (task.method, task.url, task.payload) == ("POST", "", b"p")


def test_get_tasks_answers_with_dicts_in_order_of_eta(stub: TaskQueueServiceStub) -> None:
    stub.gettime = lambda: 1_000_000_000.0
    taskqueue.add(url="/later", countdown=60, payload=b"\xff")
    taskqueue.add(url="/sooner", method="GET", name="n")
    sooner, later = stub.GetTasks("default")
    assert (sooner["name"], sooner["url"], sooner["method"], sooner["body"]) == ("n", "/sooner", "GET", b"")
    assert base64.b64decode(later["body"]) == b"\xff"
    assert (sooner["eta_delta"], later["eta_delta"]) == ("0:00:00 ago", "0:00:59 from now")
    assert (sooner["eta"], later["eta"]) == ("2001/09/09 01:46:40", "2001/09/09 01:47:40")
    assert set(later) == {
        "name",
        "queue_name",
        "url",
        "method",
        "eta",
        "eta_usec",
        "eta_delta",
        "body",
        "creation_time_usec",
        "headers",
    }


def test_tasks_of_an_unknown_queue_are_a_key_error(stub: TaskQueueServiceStub) -> None:
    with pytest.raises(KeyError, match="nope"):
        stub.GetTasks("nope")


def test_get_queues_lists_them_by_name(stub: TaskQueueServiceStub) -> None:
    taskqueue.add(url="/a", queue_name="mail")
    queues = stub.GetQueues()
    assert [(queue["name"], queue["mode"], queue["max_rate"], queue["tasks_in_queue"]) for queue in queues] == [
        ("default", "push", "5.00/s", 0),
        ("labels", "pull", "", 0),
        ("mail", "push", "2/s", 1),
    ]


def test_delete_task_leaves_no_tombstone(stub: TaskQueueServiceStub) -> None:
    taskqueue.add(url="/a", name="n")
    taskqueue.add(url="/a", name="kept")
    stub.DeleteTask("default", "n")
    stub.DeleteTask("default", "unknown")
    stub.DeleteTask("nope", "n")
    assert names(stub.get_filtered_tasks()) == ["kept"]
    taskqueue.add(url="/a", name="n")
    assert names(stub.get_filtered_tasks()) == ["kept", "n"]


def test_flush_queue_leaves_no_tombstones(stub: TaskQueueServiceStub) -> None:
    labels = taskqueue.Queue("labels")
    labels.add([taskqueue.Task(payload=n, method="PULL", name=n, tag=t) for n, t in (("l1", "t"), ("l2", None))])
    taskqueue.add(url="/a", name="n", countdown=100)
    taskqueue.add(url="/a")
    taskqueue.add(url="/a", queue_name="mail")
    stub.FlushQueue("default")
    stub.FlushQueue("labels")
    stub.FlushQueue("nope")
    assert [task.url for task in stub.get_filtered_tasks()] == ["/a"]
    taskqueue.add(url="/again", name="n")
    labels.add(taskqueue.Task(payload="again", method="PULL", name="l1", tag="t"))
    assert [task.payload for task in labels.lease_tasks(60, 10)] == [b"again"]


def test_flush_queue_frees_the_names_of_deleted_tasks(stub: TaskQueueServiceStub) -> None:
    taskqueue.add(url="/a", name="n")
    taskqueue.Queue().delete_tasks_by_name("n")
    with pytest.raises(taskqueue.TombstonedTaskError):
        taskqueue.add(url="/a", name="n")
    stub.FlushQueue("default")
    taskqueue.add(url="/a", name="n")
    assert names(stub.get_filtered_tasks()) == ["n"]


def test_clear_empties_every_queue_and_takes_the_systems_time(stub: TaskQueueServiceStub) -> None:
    taskqueue.add(url="/a", name="n")
    taskqueue.add(url="/a", queue_name="mail")
    stub.gettime = lambda: 5.0
    stub.Clear()
    assert stub.get_filtered_tasks() == []
    assert abs(stub.gettime() - datetime.now(UTC).timestamp()) < 60


def test_the_time_can_be_replaced(stub: TaskQueueServiceStub) -> None:
    stub.gettime = lambda: 1_000_000_000.0
    task = taskqueue.add(url="/a", countdown=5)
    assert task.eta_posix == pytest.approx(1_000_000_005, abs=0.1)
    assert stub.GetTasks("default")[0]["creation_time_usec"] == 1_000_000_000_000_000
    assert stub.gettime() == pytest.approx(1_000_000_000, abs=0.1)


class TestInternals:
    """What pipelines, mapreduce and others reach into."""

    def test_a_queues_delete_keeps_the_tombstone(self, stub: TaskQueueServiceStub) -> None:
        taskqueue.add(url="/a", name="n")
        queue = stub._GetGroup().GetQueue("default")
        assert [queue.Delete("n"), queue.Delete("n"), queue.Delete("unknown")] == [0, 11, 14]
        with pytest.raises(taskqueue.TombstonedTaskError):
            taskqueue.add(url="/a", name="n")

    def test_queues_by_application(self, stub: TaskQueueServiceStub) -> None:
        group = stub._queues[None]
        assert set(group.GetQueues()) == {"default", "mail", "labels"}
        assert (group.HasQueue("mail"), group.HasQueue("nope")) == (True, False)
        with pytest.raises(KeyError):
            group.GetQueue("nope")

    def test_a_queue(self, stub: TaskQueueServiceStub) -> None:
        queue = stub._GetGroup().GetQueue("mail")
        assert (queue.queue_name, queue.queue_mode, queue.bucket_capacity) == ("mail", 0, 5)
        assert (queue.Count(), queue.Oldest()) == (0, None)
        task = taskqueue.add(url="/a", queue_name="mail", name="n")
        assert (queue.Count(), queue.Oldest()) == (1, round(task.eta_posix * 1e6))
        found = queue.GetTaskAsDict("n")
        assert found is not None
        assert found["url"] == "/a"
        assert queue.GetTaskAsDict("other") is None
        queue.PurgeQueue()
        assert queue.GetTasksAsDicts() == []
        assert stub._GetGroup().GetQueue("labels").queue_mode == 1

    def test_a_parser_in_place_of_the_file(self, stub: TaskQueueServiceStub) -> None:
        entry = SimpleNamespace(name="special", rate="5/s", bucket_size=None, retry_parameters=None)
        stub.queue_yaml_parser = lambda root: SimpleNamespace(queue=[entry], root=root)
        taskqueue.add(url="/a", queue_name="special")
        with pytest.raises(taskqueue.UnknownQueueError):
            taskqueue.add(url="/a", queue_name="mail")
        assert [queue["name"] for queue in stub.GetQueues()] == ["default", "special"]

    def test_another_form_of_etas(self, stub: TaskQueueServiceStub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(stub.GetTasks.__func__.__globals__, "_FormatEta", str)
        taskqueue.add(url="/a")
        (task,) = stub.GetTasks("default")
        assert task["eta"] == str(task["eta_usec"])

    def test_another_root_path(self, stub: TaskQueueServiceStub, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / "queue.yml").write_text("queue:\n- name: fresh\n  rate: 1/s\n")
        stub._root_path = str(other)
        taskqueue.add(url="/a", queue_name="fresh")
        assert stub._root_path == str(other)

    def test_a_changed_file_counts_at_once(self, stub: TaskQueueServiceStub, tmp_path: Path) -> None:
        taskqueue.add(url="/a", queue_name="mail")
        (tmp_path / "queue.yaml").write_text("queue:\n- name: fresh\n  rate: 1/s\n")
        os.utime(tmp_path / "queue.yaml", ns=(1, 1))
        taskqueue.add(url="/a", queue_name="fresh")
        assert [queue["name"] for queue in stub.GetQueues()] == ["default", "fresh"]

    def test_all_queues_valid(self, stub: TaskQueueServiceStub) -> None:
        with pytest.raises(taskqueue.UnknownQueueError):
            taskqueue.add(url="/a", queue_name="anything")
        stub._all_queues_valid = True
        taskqueue.add(url="/a", queue_name="anything")
        assert names(stub.get_filtered_tasks(queue_names="anything")) == ["task1"]


class TestAutoRunning:
    """``auto_task_running``: a thread that runs tasks as they come due."""

    def make(self, ran: threading.Event, **options: bool) -> TaskQueueServiceStub:
        def app(environ, start_response):  # type: ignore[no-untyped-def]
            ran.set()
            start_response("200 OK", [])
            return []

        stub = TaskQueueServiceStub(app=app, **options)
        stub.bench.install()
        return stub

    def test_tasks_run_once_enabled(self) -> None:
        ran = threading.Event()
        stub = self.make(ran)
        try:
            taskqueue.add(url="/a")
            stub.StartBackgroundExecution()
            assert not [thread for thread in threading.enumerate() if "auto-task-running" in thread.name]
            stub.EnableAutoTaskRunning()
            assert ran.wait(60)
        finally:
            stub.close()

    def test_what_a_handler_raises_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        ran = threading.Event()

        def app(environ, start_response):  # type: ignore[no-untyped-def]
            raise LookupError("no such order")

        stub = TaskQueueServiceStub(app=app)
        stub.bench.install()
        try:
            taskqueue.add(url="/a", name="broken", countdown=-1, retry_options=NO_RETRY)
            taskqueue.add(url="/b", name="broken-too", retry_options=NO_RETRY)
            stub.EnableAutoTaskRunning()
            for _ in range(600):
                if not stub.get_filtered_tasks():
                    break
                ran.wait(0.1)
        finally:
            stub.close()
        logged = [record for record in caplog.records if record.exc_info]
        assert ["broken" in record.getMessage() for record in logged] == [True, True]
        assert "no such order" in caplog.text

    def test_no_task_runs_after_shutdown(self) -> None:
        ran = threading.Event()
        stub = self.make(ran, auto_task_running=True)
        try:
            stub.StartBackgroundExecution()
            stub.Shutdown()
            taskqueue.add(url="/a")
            assert not [thread for thread in threading.enumerate() if "auto-task-running" in thread.name]
            assert len(stub.get_filtered_tasks()) == 1
        finally:
            stub.close()


def test_tasks_run_through_request_data() -> None:
    calls: list[dict[str, object]] = []

    class Dispatcher:
        def add_request(self, **request: object) -> SimpleNamespace:
            calls.append(request)
            if request["relative_url"] == "/broken":
                raise OSError("no module")
            return SimpleNamespace(status="503 Busy")

    stub = TaskQueueServiceStub(request_data=SimpleNamespace(get_dispatcher=Dispatcher))
    stub.bench.install()
    try:
        taskqueue.add(url="/a?x=1", method="GET", target="v2.backend")
        taskqueue.add(url="/broken")
        runs = stub.bench.run_pending()
    finally:
        stub.close()
    assert [(run.url, run.status) for run in runs] == [("/a?x=1", 503), ("/broken", None)]
    assert isinstance(runs[1].exception, OSError)
    assert (calls[0]["method"], calls[0]["relative_url"], calls[0]["source_ip"]) == ("GET", "/a?x=1", "0.1.0.2")
    assert (calls[0]["module_name"], calls[0]["version"], calls[0]["instance_id"]) == ("backend", "v2", None)
    assert (calls[1]["module_name"], calls[1]["version"]) == (None, None)
