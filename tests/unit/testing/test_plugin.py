"""The pytest plugin, from outside: test files that use it, run by a pytest of their own.

Each run is a process: modules that a run inside of this one imports would be forgotten after it, which SQLAlchemy
does not survive.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

QUEUE_YAML = """
queue:
- name: mail
  rate: 1/s
"""

RUNNING = """
import pytest
from gae_broker import deferred, taskqueue

ran = []

@pytest.fixture
def gae_app():
    def app(environ, start_response):
        ran.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return []
    return app

def test_tasks_are_added_listed_and_run(gae_tasks):
    taskqueue.add(url="/a")
    gae_tasks.add(url="/b", countdown=60)
    assert [task.url for task in gae_tasks.list()] == ["/a", "/b"]
    assert [run.status for run in gae_tasks.run_pending()] == [200]
    gae_tasks.advance(minutes=1)
    gae_tasks.run_all()
    assert ran == ["/a", "/b"]
    assert gae_tasks.list("default") == []

class TestWithoutAnApplication:
    @pytest.fixture
    def gae_app(self):
        return None

    def test_deferred_calls_run(self, gae_tasks):
        deferred.defer(print, "ran")
        assert [run.done for run in gae_tasks.run_all()] == [True]

def test_testbed_and_tasks_are_one(gae_testbed, gae_tasks):
    taskqueue.add(url="/a")
    stub = gae_testbed.get_stub("taskqueue")
    assert stub.bench is gae_tasks
    assert len(gae_tasks.list()) == len(stub.get_filtered_tasks()) == 1

def test_so_they_are_in_the_other_order(gae_tasks, gae_testbed):
    assert gae_testbed.get_stub("taskqueue").bench is gae_tasks
"""

ISOLATION = """
import os
import pytest
from gae_broker import taskqueue
from gae_broker.engine import runtime

@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("fixture", ["gae_tasks", "gae_testbed"])
def test_each_starts_empty(request, fixture, number):
    request.getfixturevalue(fixture)
    assert taskqueue.add(url="/a", name="always").name == "always"
    assert taskqueue.add(url="/a").name == "task1"
    assert os.environ["HTTP_HOST"] == "testbed.example.com"
    os.environ["LEFT_BEHIND"] = "1"

@pytest.mark.parametrize("number", range(4))
def test_nothing_is_left(number):
    assert "LEFT_BEHIND" not in os.environ
    assert runtime.use(None) is None
"""

MARKING = f"""
import pathlib
import pytest
from gae_broker import taskqueue

def test_unmarked(gae_tasks):
    with pytest.raises(taskqueue.UnknownQueueError):
        taskqueue.add(url="/a", queue_name="mail")

@pytest.mark.gae_queues("queue.yaml")
def test_name(gae_tasks):
    taskqueue.add(url="/a", queue_name="mail")

@pytest.mark.gae_queues(pathlib.Path(__file__).with_name("queue.yaml"))
def test_path(gae_tasks):
    taskqueue.add(url="/a", queue_name="mail")

@pytest.mark.gae_queues({QUEUE_YAML!r})
def test_text(gae_tasks):
    taskqueue.add(url="/a", queue_name="mail")

@pytest.mark.gae_queues({{"mail": {{"rate": "1/s"}}}})
def test_mapping(gae_tasks):
    taskqueue.add(url="/a", queue_name="mail")

@pytest.mark.gae_queues("queue.yaml")
def test_testbed(gae_testbed):
    taskqueue.add(url="/a", queue_name="mail")
"""

MISMARKED = """
import pytest

@pytest.mark.gae_queues("absent.yaml")
def test_absent(gae_tasks):
    pass

@pytest.mark.gae_queues(5)
def test_number(gae_tasks):
    pass

@pytest.mark.gae_queues()
def test_nothing(gae_tasks):
    pass
"""


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> pytest.RunResult:
    root = Path(__file__).resolve().parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'adapters'}")
    pytester.makeconftest('pytest_plugins = ["gae_broker.testing.plugin"]')
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", *arguments)


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_suite_that_uses_it_passes(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    pytester.makefile(".yaml", queue=QUEUE_YAML)
    pytester.makepyfile(test_running=RUNNING, test_isolation=ISOLATION, test_marking=MARKING)
    run(pytester, monkeypatch, *arguments).assert_outcomes(passed=26)


def test_a_marker_that_names_no_queues_is_an_error(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytester.makepyfile(MISMARKED)
    result = run(pytester, monkeypatch)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ["*gae_queues: there is no absent.yaml in*", "*gae_queues: a path, a text*not 5*", "*gae_queues takes one*"],
    )
