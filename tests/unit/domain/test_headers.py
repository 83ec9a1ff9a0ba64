"""The request of an attempt, header by header."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gae_broker.domain.headers import RESERVED, request, task_headers
from gae_broker.domain.task import Content, Copy, Progress

CONTENT = Content(
    name="t1",
    url="/work?x=1",
    headers=(("X-Mine", "1"), ("X-AppEngine-Current-Namespace", "shop"), ("Host", "app.example.com")),
    payload=b"abc",
)
COPY = Copy("c1", "mail", CONTENT, 1_700_000_000_250_000)


def test_first_attempt_in_app_engines_order() -> None:
    assert task_headers(COPY, 0, routed=False) == (
        ("x-mine", "1"),
        ("x-appengine-current-namespace", "shop"),
        ("X-AppEngine-QueueName", "mail"),
        ("X-AppEngine-TaskName", "t1"),
        ("X-AppEngine-TaskRetryCount", "0"),
        ("X-AppEngine-TaskETA", "1700000000.25"),
        ("Content-Length", "3"),
        ("Content-Type", "application/octet-stream"),
        ("X-AppEngine-TaskExecutionCount", "0"),
        ("X-AppEngine-User-IP", "0.1.0.2"),
        ("Host", "app.example.com"),
    )


def test_later_attempt_tells_what_came_before() -> None:
    progress = Progress(tries=3, executions=2, first_try_us=1, last_status=500, reason="status 500")
    headers = dict(task_headers(replace(COPY, progress=progress), 0, routed=False))
    assert headers["X-AppEngine-TaskRetryCount"] == "3"
    assert headers["X-AppEngine-TaskExecutionCount"] == "2"
    assert headers["X-AppEngine-TaskPreviousResponse"] == "500"
    assert headers["X-AppEngine-TaskRetryReason"] == "status 500"


def test_attempts_a_crash_cut_short_are_retries_but_no_executions() -> None:
    headers = dict(task_headers(COPY, 2, routed=False))
    assert headers["X-AppEngine-TaskRetryCount"] == "2"
    assert headers["X-AppEngine-TaskExecutionCount"] == "0"
    assert "X-AppEngine-TaskPreviousResponse" not in headers
    assert headers["X-AppEngine-TaskRetryReason"] == "worker ended during the attempt"


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, lambda name: name.replace("-", "_")])
def test_a_task_cannot_forge_what_only_the_queue_may_say(name: str, spell: type[str]) -> None:
    forged = replace(COPY, content=replace(CONTENT, headers=((spell(name), "forged"),)))
    values = [value for _, value in task_headers(forged, 0, routed=False)]
    assert "forged" not in values


@pytest.mark.parametrize("name", ["X-AppEngine-FailFast", "X-AppEngine-Current-Namespace", "X-AppEngine-Foo"])
def test_other_app_engine_headers_pass(name: str) -> None:
    copy = replace(COPY, content=replace(CONTENT, headers=((name, "v"),)))
    assert (name.lower(), "v") in task_headers(copy, 0, routed=False)


@pytest.mark.parametrize(
    ("payload", "headers", "expected"),
    [
        (b"", (), None),
        (b"x", (), "application/octet-stream"),
        (b"x", (("CONTENT-TYPE", "text/plain"),), "text/plain"),
        (b"", (("content-type", "text/plain"),), "text/plain"),
    ],
)
def test_content_type(payload: bytes, headers: tuple[tuple[str, str], ...], expected: str | None) -> None:
    copy = replace(COPY, content=replace(CONTENT, payload=payload, headers=headers))
    found = {name.lower(): value for name, value in task_headers(copy, 0, routed=False)}
    assert found.get("content-type") == expected
    assert found["content-length"] == str(len(payload))


def test_reason_cannot_break_out_of_its_header() -> None:
    copy = replace(COPY, progress=Progress(tries=1, reason="bad\r\nX-Evil: 1 \N{SNOWMAN} " + "y" * 500))
    reason = dict(task_headers(copy, 0, routed=False))["X-AppEngine-TaskRetryReason"]
    assert reason.startswith("bad X-Evil: 1 yyy")
    assert len(reason) == 200


@pytest.mark.parametrize(
    ("queue_target", "task_target", "expected"),
    [(None, None, None), ("v2.api", None, "v2.api"), (None, "api", "api"), ("v2.api", "other", "v2.api")],
)
def test_queues_target_overrides_the_tasks_and_a_target_brings_its_own_host(
    queue_target: str | None,
    task_target: str | None,
    expected: str | None,
) -> None:
    made = request(replace(COPY, content=replace(CONTENT, target=task_target)), 0, queue_target, 60)
    assert made.target == expected
    assert ("Host" in dict(made.headers)) == (expected is None)


def test_deadline_is_the_tasks_or_the_default() -> None:
    assert request(COPY, 0, None, 60).deadline_us == 60
    assert request(replace(COPY, content=replace(CONTENT, deadline_us=5)), 0, None, 60).deadline_us == 5


@pytest.mark.parametrize(("name", "fails_fast"), [("X-AppEngine-FailFast", True), ("X-FailFast", False)])
def test_fail_fast(name: str, fails_fast: bool) -> None:
    made = request(replace(COPY, content=replace(CONTENT, headers=((name, "true"),))), 0, None, 60)
    assert made.fail_fast is fails_fast


def test_default_host_is_for_tasks_that_name_neither_host_nor_target() -> None:
    bare = replace(COPY, content=replace(CONTENT, headers=()))
    assert dict(request(bare, 0, None, 60, "shop.example.com").headers)["Host"] == "shop.example.com"
    assert dict(request(COPY, 0, None, 60, "shop.example.com").headers)["Host"] == "app.example.com"
    assert "Host" not in dict(request(bare, 0, "api", 60, "shop.example.com").headers)
    assert "Host" not in dict(request(bare, 0, None, 60).headers)
