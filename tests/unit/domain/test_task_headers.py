"""The task's headers as an object."""

from __future__ import annotations

import datetime

import pytest

from gae_broker.domain.headers import task_headers
from gae_broker.domain.task import Content, Copy, Progress
from gae_broker.domain.task_headers import TaskHeaders

NAMED = {"x-appengine-queuename": "q", "x-appengine-taskname": "t"}


def test_what_the_dispatcher_sends_is_read_back():
    progress = Progress(tries=3, executions=2, first_try_us=1, last_status=503, reason="status 503")
    content = Content("t1", headers=(("X-AppEngine-FailFast", ""),))
    sent = task_headers(Copy("c", "mail", content, 1_700_000_000_250_000, progress), 0, routed=False)
    assert TaskHeaders.of({name.lower(): value for name, value in sent}) == TaskHeaders(
        queue="mail",
        name="t1",
        retry_count=3,
        execution_count=2,
        eta=datetime.datetime(2023, 11, 14, 22, 13, 20, 250_000, datetime.UTC),
        previous_response=503,
        retry_reason="status 503",
        fail_fast=True,
    )


@pytest.mark.parametrize("missing", sorted(NAMED))
def test_without_a_queue_or_a_name_there_is_no_task(missing):
    assert TaskHeaders.of({name: value for name, value in NAMED.items() if name != missing}) is None
    assert TaskHeaders.of({**NAMED, missing: ""}) is None


@pytest.mark.parametrize("value", ["", "x", "-1", "1e3", "\u0663", "9" * 30, "1.2.3", "nan"])
def test_what_is_no_number_counts_as_absent(value):
    headers = {
        "x-appengine-taskretrycount": value,
        "x-appengine-taskexecutioncount": value,
        "x-appengine-tasketa": value,
        "x-appengine-taskpreviousresponse": value,
    }
    assert TaskHeaders.of({**NAMED, **headers}) == TaskHeaders("q", "t")


@pytest.mark.parametrize("value", ["1700000000", "1700000000.0", "1700000000.000000123"])
def test_times(value):
    task = TaskHeaders.of({**NAMED, "x-appengine-tasketa": value})
    assert task.eta == datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC)
