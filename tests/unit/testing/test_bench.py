"""Tasks added, listed, run and retried in a test's own time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import cast
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from gae_broker import deferred, taskqueue
from gae_broker.domain.task import Kind
from gae_broker.engine import runtime as runtimes
from gae_broker.errors import BrokerUnavailableError, ConfigurationError, UnknownQueueError
from gae_broker.ports import Broker, Message
from gae_broker.testing.applications import InProcess
from gae_broker.testing.bench import TaskBench
from gae_broker.testing.running import EndlessTasksError, TaskRunner

QUEUES = {
    "mail": {"rate": "1/h", "retry_parameters": {"task_retry_limit": 2, "min_backoff_seconds": 10}},
    "other": {"target": "backend"},
    "labels": {"mode": "pull"},
}


class App:
    """A WSGI application that answers what it is told to, and remembers its requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.answers: dict[str, list[int | Callable[[], int]]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        headers = {name: value for name, value in environ.items() if name.startswith("HTTP_X_APPENGINE")}
        self.requests.append((environ["REQUEST_METHOD"], path, environ["wsgi.input"].read(), headers))
        planned = self.answers.get(path)
        answer = planned.pop(0) if planned else 200
        status = answer() if callable(answer) else answer
        start_response(f"{status} Whatever", [])
        return [b"answer of ", path.encode()]

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.requests]


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def bench(app: App) -> Iterator[TaskBench]:
    with TaskBench(QUEUES, app=app) as bench:
        bench.clock.hold()  # a slow machine must not let tasks come due
        yield bench


def test_what_is_due_runs_in_order_of_eta_over_all_queues(bench: TaskBench, app: App) -> None:
    taskqueue.add(url="/late", countdown=60)
    taskqueue.add(url="/second", countdown=-1, queue_name="mail")
    taskqueue.add(url="/first", countdown=-2)
    runs = bench.run_pending()
    assert app.paths == ["/first", "/second"]
    assert [(run.queue, run.url, run.status, run.done, run.body) for run in runs] == [
        ("default", "/first", 200, True, b"answer of /first"),
        ("mail", "/second", 200, True, b"answer of /second"),
    ]
    assert [task.url for task in bench.list()] == ["/late"]
    bench.advance(59)
    assert bench.run_pending() == []
    bench.advance(seconds=1)
    assert [run.url for run in bench.run_pending()] == ["/late"]


def test_the_request_is_the_tasks(bench: TaskBench, app: App) -> None:
    taskqueue.add(url="/a", payload=b"\x00body", name="mine", method="PUT")
    bench.run_pending()
    ((method, path, body, headers),) = app.requests
    assert (method, path, body) == ("PUT", "/a", b"\x00body")
    assert headers["HTTP_X_APPENGINE_TASKNAME"] == "mine"
    assert headers["HTTP_X_APPENGINE_QUEUENAME"] == "default"
    assert headers["HTTP_X_APPENGINE_TASKRETRYCOUNT"] == "0"


def test_rate_is_not_applied(bench: TaskBench) -> None:
    for _ in range(30):
        taskqueue.add(url="/a", queue_name="mail")
    assert len(bench.run_pending()) == 30


def test_a_failed_task_waits_for_its_backoff(bench: TaskBench, app: App) -> None:
    app.answers["/a"] = [500, 503]
    taskqueue.add(url="/a", queue_name="mail")
    (failed,) = bench.run_pending()
    assert (failed.status, failed.done, failed.given_up, failed.retry_count) == (500, False, False, 0)
    assert bench.run_pending() == []
    bench.advance(10)
    (again,) = bench.run_pending()
    assert (again.status, again.retry_count) == (503, 1)
    assert app.requests[1][3]["HTTP_X_APPENGINE_TASKPREVIOUSRESPONSE"] == "500"
    bench.advance(19.9)
    assert bench.run_pending() == []
    bench.advance(0.1)
    (last,) = bench.run_pending()
    assert (last.done, last.retry_count) == (True, 2)
    assert bench.list() == []


def test_a_task_is_given_up_after_its_last_retry(bench: TaskBench, app: App) -> None:
    app.answers["/a"] = [500] * 9
    taskqueue.add(url="/a", queue_name="mail", name="doomed")
    started = bench.now()
    runs = bench.run_all()
    assert [run.given_up for run in runs] == [False, False, True]
    waits = [(run.at - started).total_seconds() for run in runs]
    assert waits == pytest.approx([0, 10, 30], abs=0.1)
    assert bench.list() == []
    assert bench.dead("mail") == ["doomed"]
    with pytest.raises(taskqueue.TombstonedTaskError):
        taskqueue.add(url="/a", queue_name="mail", name="doomed")


def test_run_all_runs_what_tasks_add_and_lets_time_pass(bench: TaskBench, app: App) -> None:
    def chain() -> int:
        taskqueue.add(url="/next", countdown=3600)
        return 200

    app.answers["/start"] = [chain]
    started = bench.now()
    taskqueue.add(url="/start")
    runs = bench.run_all()
    assert [run.url for run in runs] == ["/start", "/next"]
    assert runs[1].at - started >= timedelta(hours=1)


def test_run_pending_leaves_what_tasks_add_to_the_next_call(bench: TaskBench, app: App) -> None:
    app.answers["/start"] = [lambda: taskqueue.add(url="/next") and 200]
    taskqueue.add(url="/start")
    assert [run.url for run in bench.run_pending()] == ["/start"]
    assert [run.url for run in bench.run_pending()] == ["/next"]


def test_tasks_that_never_end_are_stopped_and_said_to_be_left(bench: TaskBench, app: App) -> None:
    app.answers["/loop"] = [500] * 100
    taskqueue.add(url="/loop", name="sisyphus")
    with pytest.raises(EndlessTasksError, match=r"20 attempts.*/loop.*sisyphus") as caught:
        bench.run_all(limit=20)
    assert len(caught.value.runs) == len(app.requests) == 20
    assert [task.name for task in bench.list()] == ["sisyphus"]


def test_run_all_stops_within_a_round_at_its_limit(bench: TaskBench, app: App) -> None:
    taskqueue.Queue().add([taskqueue.Task(url="/a") for _ in range(5)])
    with pytest.raises(EndlessTasksError):
        bench.run_all(limit=3)
    assert len(app.requests) == 3
    assert len(bench.run_all(limit=2)) == 2


def test_a_task_that_an_earlier_one_deleted_or_purged_does_not_run(bench: TaskBench, app: App) -> None:
    app.answers["/delete"] = [lambda: taskqueue.Queue().delete_tasks_by_name("victim") and 200]
    app.answers["/purge"] = [lambda: taskqueue.Queue("mail").purge() or 200]
    taskqueue.add(url="/delete", countdown=-3)
    taskqueue.add(url="/purge", countdown=-2)
    taskqueue.add(url="/a", name="victim")
    taskqueue.add(url="/a", queue_name="mail")
    bench.run_pending()
    assert app.paths == ["/delete", "/purge"]
    assert bench.run_pending() == []


def test_what_a_handler_raises_is_kept(bench: TaskBench, app: App) -> None:
    def fail() -> int:
        raise LookupError("no such order")

    app.answers["/a"] = [fail]
    taskqueue.add(url="/a")
    (run,) = bench.run_pending()
    assert run.status == 500
    assert isinstance(run.exception, LookupError)
    assert str(run.exception) == "no such order"


def test_a_test_that_is_interrupted_keeps_its_tasks(bench: TaskBench, app: App) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    app.answers["/a"] = [interrupt]
    taskqueue.add(url="/a", countdown=-1)
    taskqueue.add(url="/b")
    with pytest.raises(KeyboardInterrupt):
        bench.run_pending()
    assert [run.url for run in bench.run_pending()] == ["/a", "/b"]


def test_a_paused_queue_does_not_run(bench: TaskBench) -> None:
    bench.runtime.controller.pause("default")
    taskqueue.add(url="/a")
    assert bench.run_all() == []
    bench.runtime.controller.resume("default")
    assert len(bench.run_all()) == 1


def test_a_target_has_its_own_application(app: App) -> None:
    backend = App()
    with TaskBench(QUEUES, app=app, targets={"backend": backend}) as bench:
        taskqueue.add(url="/a", queue_name="other")
        taskqueue.add(url="/b", target="elsewhere")
        bench.run_pending()
    assert (backend.paths, app.paths) == (["/a"], ["/b"])


def test_without_an_application_deferred_calls_run_and_others_say_what_is_missing() -> None:
    done: list[int] = []
    with TaskBench() as bench:
        deferred.defer(done.append, 1)
        assert [run.status for run in bench.run_pending()] == [200]
        taskqueue.add(url="/a")
        with pytest.raises(ConfigurationError, match=r"POST /a is due.*gae_app"):
            bench.run_pending()
        assert [task.url for task in bench.list()] == ["/a"]


def test_an_asgi_application() -> None:
    paths: list[str] = []

    async def application(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        paths.append(scope["path"])
        await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with TaskBench(app=application) as bench:
        taskqueue.add(url="/outside")
        assert [run.status for run in bench.run_pending()] == [204]

        async def inside() -> list[int | None]:
            taskqueue.add(url="/inside")
            return [run.status for run in bench.run_pending()]

        assert asyncio.run(inside()) == [204]
    assert paths == ["/outside", "/inside"]


def test_pull_tasks_are_listed_as_they_are_and_leases_end_in_the_tests_time(bench: TaskBench) -> None:
    queue = taskqueue.Queue("labels")
    queue.add(taskqueue.Task(payload="x", method="PULL", tag="oslo"))
    queue.add(taskqueue.Task(payload="y", method="PULL"))
    assert [(task.method, task.tag, task.payload) for task in bench.list("labels")] == [
        ("PULL", "oslo", b"x"),
        ("PULL", None, b"y"),
    ]
    assert len(queue.lease_tasks(60, 10)) == 2
    assert queue.lease_tasks(60, 10) == []
    assert len(bench.list("labels")) == 2
    bench.advance(minutes=1, seconds=1)
    assert [task.retry_count for task in queue.lease_tasks(60, 10)] == [2, 2]


def test_unnamed_tasks_are_numbered(bench: TaskBench) -> None:
    assert [taskqueue.add(url="/a").name, bench.add(url="/a").name] == ["task1", "task2"]


def test_listing_an_unknown_queue_is_an_error(bench: TaskBench) -> None:
    with pytest.raises(UnknownQueueError):
        bench.list("nope")


def test_transactional_tasks_wait_for_the_commit(bench: TaskBench) -> None:
    with bench.transaction():
        taskqueue.add(url="/a", transactional=True)
        assert bench.list() == []
    assert [task.url for task in bench.list()] == ["/a"]


def test_transactional_tasks_go_with_the_rollback(bench: TaskBench) -> None:
    def fail() -> None:
        with bench.transaction():
            taskqueue.add(url="/a", transactional=True)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert bench.list() == []
    with pytest.raises(taskqueue.BadTransactionStateError):
        taskqueue.add(url="/a", transactional=True)


def test_each_bench_is_alone_and_leaves_nothing() -> None:
    before = runtimes.use(None)
    try:
        with TaskBench() as outer:
            taskqueue.add(url="/outer")
            with TaskBench() as inner:
                taskqueue.add(url="/inner")
                assert [task.url for task in inner.list()] == ["/inner"]
            assert [task.url for task in outer.list()] == ["/outer"]
            assert runtimes.current() is outer.runtime
        assert runtimes.use(None) is None
    finally:
        runtimes.use(before)


def test_purge_removes_all_tasks(bench: TaskBench) -> None:
    taskqueue.add(url="/a")
    taskqueue.Queue("labels").add(taskqueue.Task(payload="x", method="PULL", tag="t"))
    bench.purge()
    assert bench.list() == []


def test_what_comes_due_while_others_run_is_not_overlooked(app: App) -> None:
    seconds = itertools.count(1_000_000_000)
    with TaskBench(app=app, gettime=lambda: next(seconds) / 2) as bench:
        for number in range(50):
            taskqueue.add(url=f"/{number}", countdown=number * 7)
        assert len(bench.run_all()) == 50


def test_what_somebody_else_has_in_hand_is_not_waited_for(bench: TaskBench) -> None:
    taskqueue.add(url="/a")
    taken = bench.runtime.broker.get(Kind.PUSH, "default", 1)
    assert bench.run_all() == []
    bench.runtime.broker.restore(taken)
    assert len(bench.run_all()) == 1


def test_filtering(bench: TaskBench) -> None:
    taskqueue.add(url="/a", name="one")
    taskqueue.add(url="/a", name="two", queue_name="mail")
    taskqueue.add(url="/b", name="three", queue_name="mail")
    found = [
        bench.filter(url="/a"),
        bench.filter(name="three"),
        bench.filter(queue_names="mail"),
        bench.filter("/a", queue_names=["mail", "nope"]),
    ]
    assert [[task.name for task in tasks] for tasks in found] == [["one", "two"], ["three"], ["two", "three"], ["two"]]


def test_asynchronous_calls_reach_the_bench(bench: TaskBench) -> None:
    rpcs = [taskqueue.Task(url=f"/{number}").add_async() for number in range(20)]
    assert [rpc.get_result().was_enqueued for rpc in rpcs] == [True] * 20
    assert len(bench.list()) == 20


class Unreachable:
    """A broker that takes no messages; all else is the real one's."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        return [BrokerUnavailableError(f"not reached within {deadline_s} s")] * len(messages)

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)


def test_a_retry_that_cannot_be_stored_leaves_the_task_in_its_queue(bench: TaskBench, app: App) -> None:
    app.answers["/a"] = [500]
    taskqueue.add(url="/a")
    taskqueue.add(url="/b")
    broker = bench.runtime.broker
    bench.runtime.broker = cast("Broker", Unreachable(broker))
    runner = TaskRunner(bench.runtime, bench.clock, InProcess(bench.clock, app, {}))
    with pytest.raises(BrokerUnavailableError):
        runner.run_pending()
    bench.runtime.broker = broker
    assert [run.url for run in bench.run_pending()] == ["/a", "/b"]
