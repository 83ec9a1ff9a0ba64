"""The dispatcher with an application in its own process."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading

import pytest

from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Kind
from gae_broker.engine.dispatcher import Result
from gae_broker.errors import (
    ConfigurationError,
    InvalidQueueModeError,
    UnknownQueueError,
)
from tests.integration.dispatching import FAST, GUARD_S, as_module, ground, until

APP = {"default": "wsgi+handlers_of_a_test:app"}
SOON = RetryParameters(min_backoff_s=0.01, max_backoff_s=0.01)


def test_every_task_runs_once_with_app_engines_headers(application):
    with ground(targets=APP) as field:
        field.add(*[f"t{number}" for number in range(300)], payload=b"x", headers=(("X-Mine", "1"),))

        async def scenario(_):
            await field.watcher.attempts(300)

        field.serve(scenario)
        assert sorted(application.names) == sorted(f"t{number}" for number in range(300))
        assert field.comes_to_hold(0)
    environ = application.requests[0]
    assert environ["HTTP_X_APPENGINE_QUEUENAME"] == "default"
    assert environ["HTTP_X_APPENGINE_TASKRETRYCOUNT"] == "0"
    assert environ["HTTP_X_MINE"] == "1"
    assert environ["REMOTE_ADDR"] == "0.1.0.2"
    assert {event.result for event in field.watcher.events} == {Result.SUCCESS}


def test_retry_count_counts_every_try_and_execution_count_answers_only(application):
    """First no target, then an error, then success."""
    with ground(Queue("q", retry=SOON, target="later", **FAST), targets={"x": "handlers_of_a_test:app"}) as field:
        application.answer = lambda _: "500 Oops" if len(application.requests) == 1 else "200 OK"
        field.add("t", queue="q")

        async def unreachable(_):
            (event,) = (await field.watcher.attempts(1))[:1]
            assert event.status is None
            assert event.reason == "no target 'later' is configured (known: x)"

        field.serve(unreachable)
        before = len(field.watcher.events)
        object.__setattr__(field.runtime.settings, "targets", APP)

        async def reachable(_):
            await field.watcher.attempts(1, result=Result.SUCCESS)

        field.serve(reachable)
    first, second = application.requests
    assert first["HTTP_X_APPENGINE_TASKRETRYCOUNT"] == str(before)
    assert first["HTTP_X_APPENGINE_TASKEXECUTIONCOUNT"] == "0"
    assert "HTTP_X_APPENGINE_TASKPREVIOUSRESPONSE" not in first
    assert first["HTTP_X_APPENGINE_TASKRETRYREASON"].startswith("no target")
    assert second["HTTP_X_APPENGINE_TASKRETRYCOUNT"] == str(before + 1)
    assert second["HTTP_X_APPENGINE_TASKEXECUTIONCOUNT"] == "1"
    assert second["HTTP_X_APPENGINE_TASKPREVIOUSRESPONSE"] == "500"


def test_a_task_over_its_limits_is_given_up_and_kept_among_the_dead(application):
    with ground(Queue("q", retry=RetryParameters(limit=2, min_backoff_s=0.01), **FAST), targets=APP) as field:
        application.answer = lambda _: "500 Oops"
        field.add("t", queue="q")

        async def scenario(_):
            await field.watcher.attempts(1, result=Result.FAILED)

        field.serve(scenario)
        assert [event.attempt for event in field.watcher.events] == [1, 2, 3]
        assert field.comes_to_hold(0, "q")
        assert field.runtime.broker.depth(Kind.DEAD, "q").ready == 1


@pytest.mark.parametrize("cap", [1, 3])
def test_never_more_attempts_at_a_time_than_the_queue_allows(application, cap):
    together = threading.Barrier(cap)
    lock = threading.Lock()
    active, most = [], []

    def handler(_):
        with lock:
            active.append(1)
            most.append(len(active))
        together.wait(GUARD_S)  # passes only when as many as are allowed are here
        with lock:
            active.pop()
        return "200 OK"

    application.answer = handler
    with ground(Queue("q", max_concurrent=cap, **FAST), targets=APP) as field:
        field.add(*[""] * (cap * 10), queue="q")

        async def scenario(_):
            await field.watcher.attempts(cap * 10)

        field.serve(scenario, threads=cap + 3)
    assert max(most) == cap


def test_a_paused_queue_waits_and_goes_on(application):
    with ground(Queue("paused", **FAST), targets=APP) as field:
        field.runtime.controller.pause("paused")
        field.add("a", queue="paused")

        async def scenario(_):
            field.add("b", eta_us=field.runtime.clock.now_us() + 300_000)
            await field.watcher.attempts(1, task="b")
            assert application.names == ["b"]
            field.runtime.controller.resume("paused")
            await field.watcher.attempts(1, task="a")

        field.serve(scenario)


def test_purged_and_deleted_tasks_do_not_run(application):
    with ground(Queue("q", **FAST), targets=APP) as field:
        now_us = field.runtime.clock.now_us()
        field.add("deleted", "kept", eta_us=now_us + 300_000)
        field.add("purged", queue="q", eta_us=now_us + 200_000)

        async def scenario(_):
            field.runtime.remover.delete("default", ["deleted"])
            field.runtime.remover.purge("q")
            await field.watcher.attempts(1, task="kept")

        field.serve(scenario)
    assert application.names == ["kept"]


def test_queue_yaml_is_applied_live(application, tmp_path):
    path = tmp_path / "queue.yaml"
    path.write_text("queue:\n- name: slow\n  rate: 0\n")
    with ground(targets=APP, queue_yaml=str(path)) as field:
        field.add("a", queue="slow")

        async def scenario(_):
            field.add("b")
            await field.watcher.attempts(1, task="b")
            assert application.names == ["b"]
            path.write_text("queue:\n- name: slow\n  rate: 100/s\n- name: extra\n  rate: 100/s\n")
            await field.watcher.attempts(1, task="a")
            field.add("c", queue="extra")
            await field.watcher.attempts(1, task="c")
            path.write_text("queue: [this is not\n")
            field.add("d", queue="extra", eta_us=field.runtime.clock.now_us() + 1_500_000)
            await field.watcher.attempts(1, task="d")

        field.serve(scenario)


def test_a_handler_over_its_deadline_fails_and_its_thread_is_lost_until_it_returns(application, caplog):
    over = threading.Event()

    def handler(_):
        if len(application.requests) == 1:
            over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler
    with ground(Queue("q", retry=SOON, **FAST), targets=APP, dispatch_deadline_s=0.1) as field:
        field.add("t", queue="q")

        async def scenario(_):
            first, second = await field.watcher.attempts(2)
            assert (first.status, first.reason) == (None, "deadline of 0.1 s exceeded")
            assert (second.status, second.result) == (200, Result.SUCCESS)
            over.set()

        with caplog.at_level(logging.ERROR, "gae_broker.dispatch"):
            field.serve(scenario, threads=2)
    assert "its thread is lost until it ends (1 of 2 are)" in caplog.text
    assert application.requests[1]["HTTP_X_APPENGINE_TASKEXECUTIONCOUNT"] == "0"


def test_a_task_that_fails_fast_does_not_wait_for_a_thread(application):
    over, busy = threading.Event(), threading.Event()

    def handler(environ):
        if environ["HTTP_X_APPENGINE_TASKNAME"] == "long":
            busy.set()
            over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler
    queues = (Queue("one", **FAST), Queue("two", retry=RetryParameters(limit=0), **FAST))
    with ground(*queues, targets=APP) as field:

        async def scenario(_):
            field.add("before", queue="two")
            await field.watcher.attempts(1)
            # Now both queues have asked for a task, while the only thread is idle.
            field.add("long", queue="one")
            await asyncio.to_thread(busy.wait, GUARD_S)
            field.add("hasty", queue="two", headers=(("X-AppEngine-FailFast", "true"),))
            (event,) = await field.watcher.attempts(1, task="hasty")
            assert event.reason == "no free capacity, and the task asks to fail fast"
            over.set()
            await field.watcher.attempts(1, task="long")

        field.serve(scenario, threads=1)
    assert "hasty" not in application.names


def test_tasks_that_find_no_thread_go_back_to_their_queue(application):
    """Other queues' tasks do not wait in memory behind a slow one."""
    over, busy = threading.Event(), threading.Event()

    def handler(environ):
        if environ["HTTP_X_APPENGINE_TASKNAME"] == "long":
            busy.set()
            over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler
    with ground(Queue("one", **FAST), Queue("two", **FAST), targets=APP) as field:

        async def scenario(_):
            field.add("before", queue="two")
            await field.watcher.attempts(1)
            # Now both queues have asked for a task, while the only thread is idle.
            field.add("long", queue="one")
            await asyncio.to_thread(busy.wait, GUARD_S)
            field.add("a", queue="two")
            depth = field.runtime.broker.depth
            await until(lambda: depth(Kind.PUSH, "two").unacked == 1)
            await until(lambda: depth(Kind.PUSH, "two").unacked == 0)
            assert "a" not in application.names
            over.set()
            (event,) = await field.watcher.attempts(1, task="a")
            assert event.attempt == 1

        field.serve(scenario, threads=1)


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_lowers_the_enforced_rate(application, status):
    application.answer = lambda _: f"{status} Busy"
    with ground(Queue("q", rate_per_s=100.0, bucket_size=1), targets=APP) as field:
        field.add("t", queue="q")

        async def scenario(_):
            await field.watcher.attempts(1)
            await until(lambda: field.runtime.statistician.fetch("q").enforced_rate < 100.0)

        field.serve(scenario)


def test_named_queues_only(application):
    with ground(Queue("q", **FAST), targets=APP) as field:
        field.add("a")
        field.add("b", queue="q")

        async def scenario(_):
            await field.watcher.attempts(1)

        field.serve(scenario, queues=["q"])
        assert application.names == ["b"]


@pytest.mark.parametrize(
    ("options", "targets", "error"),
    [
        ({"queues": ["gone"]}, APP, UnknownQueueError),
        ({"queues": ["pull"]}, APP, InvalidQueueModeError),
        ({}, {"default": "no_such_module_here:app"}, ConfigurationError),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(application, options, targets, error):
    with ground(Queue("pull", mode=Mode.PULL), targets=targets) as field, pytest.raises(error):
        asyncio.run(field.dispatcher(**options).run())


def test_an_asgi_application_runs_beside_the_loop(monkeypatch):
    events = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            events.append((await receive())["type"])
            scope["state"]["started"] = True
            await send({"type": "lifespan.startup.complete"})
            events.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["state"]["started"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    monkeypatch.setitem(sys.modules, "asgi_of_a_test", as_module("asgi_of_a_test", app=app))
    with ground(targets={"default": "asgi_of_a_test:app"}) as field:
        field.add(*[""] * 200)

        async def scenario(_):
            await field.watcher.attempts(200, status=200)

        field.serve(scenario)
    assert events == ["lifespan.startup", "lifespan.shutdown"]
