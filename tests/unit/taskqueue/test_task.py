"""What a Task says of itself."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from gae_broker.taskqueue import Task, TaskRetryOptions
from gae_broker.taskqueue.taskqueue import _UTC

NAMESPACE = {"X-AppEngine-Current-Namespace": ""}
TEXT = {"content-type": "text/plain; charset=utf-8"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

PROPERTIES = [
    "name",
    "url",
    "on_queue_url",
    "method",
    "payload",
    "headers",
    "eta",
    "eta_posix",
    "queue_name",
    "retry_count",
    "retry_options",
    "size",
    "tag",
    "target",
    "dispatch_deadline_usec",
    "was_enqueued",
    "was_deleted",
]


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties_are_read_only(name):
    with pytest.raises(AttributeError):
        setattr(Task(), name, None)


@pytest.mark.parametrize(
    ("arguments", "url", "payload", "headers"),
    [
        ({}, "", None, {}),
        ({"payload": ""}, "", b"", {}),
        ({"payload": "é"}, "", "é".encode(), TEXT),
        ({"payload": b"\xff"}, "", b"\xff", {}),
        ({"payload": "x", "headers": {"Content-Type": "a/b"}}, "", b"x", {"Content-Type": "a/b"}),
        ({"params": {"a": "é b"}}, "", "a=%C3%A9+b", FORM),
        ({"params": {"a": 1}, "headers": {"CONTENT-TYPE": "a/b"}}, "", "a=1", {"CONTENT-TYPE": "a/b"}),
        ({"url": "/a?"}, "/a", None, {}),
        ({"url": "/a?b=1", "method": "get"}, "/a?b=1", None, {}),
        ({"url": "/a", "method": "GET", "params": {"b": [1, 2]}}, "/a?b=1&b=2", None, {}),
        ({"method": "GET", "params": {"b": 1}}, "?b=1", None, {}),
        ({"method": "GET", "payload": ""}, "", None, {}),
        ({"method": "PUT", "payload": "x", "params": {"b": 1}}, "?b=1", b"x", TEXT),
        ({"method": "PULL", "payload": "x"}, "", b"x", TEXT),
        ({"method": "PULL", "params": {"a": 1}}, "", b"a=1", TEXT),
        ({"method": "PULL", "payload": b"x"}, "", b"x", {}),
    ],
    ids=str,
)
def test_url_payload_and_headers(arguments, url, payload, headers):
    task = Task(**arguments)
    assert (task.url, task.payload) == (url, payload)
    assert type(task.payload) is type(payload)
    assert task.headers == NAMESPACE | headers


def test_of_headers_that_differ_in_case_the_last_stays():
    task = Task(headers={"A": "1", "B": 3, "a": ["x", "y"]})
    assert task.headers == {"B": 3, "a": ["x", "y"]} | NAMESPACE


def test_headers_are_a_copy_each_time():
    task = Task()
    task.headers["A"] = "1"
    assert "A" not in task.headers


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({}, 4 + 33),
        ({"payload": b"12345"}, 4 + 5 + 33),
        ({"url": "/abc"}, 4 + 4 + 33),
        ({"url": "/abc?d=1", "method": "GET"}, 3 + 8 + 33),
        ({"headers": {"A": ["1", "22"], "é": "é"}, "_size_check": False}, None),
        ({"headers": {"A": ["1", "22"]}}, 4 + 33 + (1 + 1 + 4) + (1 + 2 + 4)),
        ({"headers": {"A": "é"}}, 4 + 33 + 1 + 2 + 4),
        ({"headers": {"A": []}}, 4 + 33),
        ({"payload": "é"}, 4 + 2 + 33 + 12 + 25 + 4),
    ],
    ids=str,
)
def test_size_counts_headers(arguments, size):
    if size is not None:
        assert Task(**arguments).size == size


def test_the_largest_push_task_is_smaller_than_its_limit_by_its_headers():
    assert Task(b"x" * (102_400 - 37)).size == 102_400


def test_eta_is_now_by_default():
    before = time.time()
    task = Task()
    assert before - 1e-3 <= task.eta_posix <= time.time()
    assert abs(task.eta.timestamp() - task.eta_posix) < 2e-6
    assert task.eta.tzinfo is _UTC


def test_an_aware_eta_is_converted():
    eta = dt.datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    task = Task(eta=eta)
    assert task.eta == eta
    assert task._eta_usec == 1577927045678901


def test_a_naive_eta_is_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert Task(eta=dt.datetime(2020, 1, 2, 3, 0, 0)).eta_posix == 1577952000  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_countdown_counts_from_the_runtimes_now(world, clock):
    assert Task(countdown="90.5")._eta_usec == clock.us + 90_500_000


def test_etas_survive_the_float():
    for eta_us in (1_700_000_000_000_001, 1_700_000_000_999_999, 4_000_000_000_123_457):
        task = Task()
        task._mark_lease_end(eta_us)
        assert task._eta_usec == eta_us


def test_repr_names_what_concerns_the_kind():
    assert repr(Task(b"x", method="PULL", tag="t")).startswith("Task<eta=")
    assert "tag='t'" in repr(Task(b"x", method="PULL", tag="t"))
    assert "url=" not in repr(Task(b"x", method="PULL"))
    push = repr(Task(url="/x", retry_options=TaskRetryOptions(task_retry_limit=3)))
    assert "tag=" not in push
    assert [part.partition("=")[0] for part in push[5:].split(", ") if "=" in part][:2] == ["eta", "tzinfo"]
    for name in ("headers", "method", "retry_options=TaskRetryOptions(", "target", "url='/x'", "was_deleted=False"):
        assert name in push


def test_tasks_are_their_own_identity():
    assert Task() != Task()
    assert Task()
    assert len({Task(), Task()}) == 2


@pytest.mark.parametrize("leftover", [b"name-1"])
def test_python_2_names_are_text(leftover):
    assert Task(name=leftover).name == "name-1"
