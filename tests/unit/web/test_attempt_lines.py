"""One line an attempt."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from gae_broker.engine.dispatcher import AttemptEvent, Result
from gae_broker.web.attempt_lines import AttemptLines

NOW_US = 1_795_000_000_000_000
EVENT = AttemptEvent(
    queue="mail",
    task="w-1",
    method="POST",
    url="/send",
    attempt=1,
    status=200,
    duration_s=0.0351,
    wait_s=0.0,
    result=Result.SUCCESS,
    reason="",
    next_eta_us=None,
    body_excerpt=b"ok",
)
FAILURE = replace(EVENT, status=500, result=Result.RETRY, reason="status 500", next_eta_us=NOW_US + 10_000_000)


def line(event: AttemptEvent, *, color: bool = False) -> str:
    written: list[str] = []
    AttemptLines(written.append, lambda: NOW_US, color=color).attempted(event)
    assert re.match(r"\d\d:\d\d:\d\d ", written[0])
    return written[0][9:]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (EVENT, "mail w-1 POST /send try 1: 200 in 35 ms"),
        (replace(EVENT, duration_s=12.34), "mail w-1 POST /send try 1: 200 in 12.3 s"),
        (FAILURE, "mail w-1 POST /send try 1: 500 in 35 ms, next try in 10.0 s: status 500 (ok)"),
        (
            replace(FAILURE, next_eta_us=NOW_US - 5),
            "mail w-1 POST /send try 1: 500 in 35 ms, next try in 0.0 s: status 500 (ok)",
        ),
        (
            replace(FAILURE, next_eta_us=NOW_US + 200_000_000),
            "mail w-1 POST /send try 1: 500 in 35 ms, next try in 3 min 20 s: status 500 (ok)",
        ),
        (
            replace(FAILURE, next_eta_us=NOW_US + 7_260_000_000),
            "mail w-1 POST /send try 1: 500 in 35 ms, next try in 2 h 1 min: status 500 (ok)",
        ),
        (
            replace(FAILURE, status=None, reason="refused", body_excerpt=b"", result=Result.FAILED, next_eta_us=None),
            "mail w-1 POST /send try 1: --- in 35 ms, given up: refused",
        ),
    ],
)
def test_lines(event: AttemptEvent, text: str) -> None:
    assert line(event) == text


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b"  no stock \nand more", " (no stock)"),
        (b"<!doctype html>", ""),
        (b"\xff\x00", ""),
        (b"x" * 81, ""),
        (b"\x1b[31mred", ""),
    ],
)
def test_only_short_plain_answers_are_shown(body: bytes, shown: str) -> None:
    assert line(replace(FAILURE, body_excerpt=body)).endswith(f"status 500{shown}")


@pytest.mark.parametrize(
    ("event", "code"),
    [(EVENT, "32"), (FAILURE, "33"), (replace(FAILURE, result=Result.FAILED, next_eta_us=None), "31")],
)
def test_colours(event: AttemptEvent, code: str) -> None:
    assert f": \x1b[{code}m{event.status}\x1b[0m in" in line(event, color=True)


def test_queues_are_aligned_as_they_come() -> None:
    written: list[str] = []
    lines = AttemptLines(written.append, lambda: NOW_US)
    for queue in ("a-longer-queue", "b"):
        lines.attempted(replace(EVENT, queue=queue))
    assert written[1][9:].startswith("b              w-1")


def test_json() -> None:
    written: list[str] = []
    AttemptLines(written.append, lambda: NOW_US, color=True, as_json=True).attempted(FAILURE)
    assert json.loads(written[0]) == {
        "queue": "mail",
        "task": "w-1",
        "method": "POST",
        "url": "/send",
        "attempt": 1,
        "status": 500,
        "duration_s": 0.0351,
        "outcome": "retry",
        "reason": "status 500",
        "next_eta_us": FAILURE.next_eta_us,
    }
