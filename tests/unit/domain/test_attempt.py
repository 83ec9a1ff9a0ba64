"""Which deliveries run, and what follows from an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gae_broker.domain.attempt import (
    Done,
    GiveUp,
    Knowledge,
    Outcome,
    Retry,
    Verdict,
    abandon,
    conclude,
    decide,
)
from gae_broker.domain.retry import DEFAULT, RetryParameters
from gae_broker.domain.task import HISTORY, Content, Copy, Progress

S = 1_000_000
COPY = Copy("c1", "q", Content("t1", url="/x", created_us=0), 0)
NEVER = RetryParameters(limit=0)


@pytest.mark.parametrize(
    ("knowledge", "eta_us", "verdict"),
    [
        (Knowledge.UNKNOWN, 0, Verdict.RUN),
        (Knowledge.LIVE, 0, Verdict.RUN),
        (Knowledge.LIVE, 100, Verdict.RUN),
        (Knowledge.LIVE, 101, Verdict.DELAY),
        (Knowledge.UNKNOWN, 101, Verdict.DELAY),
        (Knowledge.STALE, 0, Verdict.DROP),
        (Knowledge.DONE, 0, Verdict.DROP),
        (Knowledge.DELETED, 101, Verdict.DROP),
        (Knowledge.PURGED, 0, Verdict.DROP),
    ],
)
def test_admission(knowledge: Knowledge, eta_us: int, verdict: Verdict) -> None:
    assert decide(replace(COPY, eta_us=eta_us), 0, knowledge, DEFAULT, 100).verdict is verdict


@pytest.mark.parametrize(
    ("queue", "own", "crashes", "verdict"),
    [
        (NEVER, None, 1, Verdict.RUN),
        (NEVER, None, 2, Verdict.RUN),
        (NEVER, None, 3, Verdict.GIVE_UP),
        (DEFAULT, None, 1000, Verdict.RUN),
        (DEFAULT, NEVER, 3, Verdict.GIVE_UP),
        (NEVER, DEFAULT, 3, Verdict.RUN),
        (RetryParameters(limit=3), None, 3, Verdict.RUN),
        (RetryParameters(limit=3), None, 4, Verdict.GIVE_UP),
    ],
)
def test_a_crash_loses_no_task_but_one_that_always_crashes_its_worker_ends(
    queue: RetryParameters,
    own: RetryParameters | None,
    crashes: int,
    verdict: Verdict,
) -> None:
    copy = replace(COPY, content=replace(COPY.content, retry=own))
    assert decide(copy, crashes, Knowledge.LIVE, queue, 0).verdict is verdict


@pytest.mark.parametrize(
    ("status", "done"),
    [
        *((status, True) for status in (200, 204, 299)),
        *((status, False) for status in (None, 199, 300, 302, 404, 408, 429, 500, 503)),
    ],
)
def test_only_200_to_299_is_success(status: int | None, done: bool) -> None:
    conclusion = conclude(COPY, 0, Outcome(status, "", 1, 2), DEFAULT, "c2")
    assert isinstance(conclusion, Done if done else Retry)


@pytest.mark.parametrize(
    ("status", "crashes", "tries", "executions"),
    [(500, 0, 1, 1), (None, 0, 1, 0), (500, 2, 3, 1), (None, 2, 3, 0)],
)
def test_tries_count_everything_and_executions_only_answers(
    status: int | None,
    crashes: int,
    tries: int,
    executions: int,
) -> None:
    conclusion = conclude(COPY, crashes, Outcome(status, "why", 5, 9), DEFAULT, "c2")
    assert isinstance(conclusion, Retry)
    progress = conclusion.copy.progress
    assert (progress.tries, progress.executions) == (tries, executions)
    assert (progress.first_try_us, progress.last_status, progress.reason) == (5, status, "why")
    assert conclusion.copy.copy_id == "c2"


def test_an_attempt_without_an_answer_leaves_the_previous_response() -> None:
    first = conclude(COPY, 0, Outcome(503, "", 1, 2), DEFAULT, "c2")
    assert isinstance(first, Retry)
    second = conclude(first.copy, 0, Outcome(None, "connection refused", 3, 4), DEFAULT, "c3")
    assert isinstance(second, Retry)
    assert second.copy.progress.last_status == 503
    assert second.copy.progress.first_try_us == 1


def test_eta_counts_from_the_end_of_the_attempt() -> None:
    parameters = RetryParameters(min_backoff_s=10, max_backoff_s=300, max_doublings=3)
    copy, waits = COPY, []
    for number in range(1, 9):
        start_us = copy.eta_us
        conclusion = conclude(copy, 0, Outcome(500, "", start_us, start_us + 7), parameters, f"c{number}")
        assert isinstance(conclusion, Retry)
        copy = conclusion.copy
        waits.append((copy.eta_us - start_us - 7) // S)
    assert waits == [10, 20, 40, 80, 160, 240, 300, 300]


@pytest.mark.parametrize(
    ("limit", "age_limit_s", "tries", "age_s", "kept"),
    [
        (None, None, 1000, 10**9, True),
        (0, None, 0, 0, False),
        (1, None, 0, 0, True),
        (1, None, 1, 0, False),
        (None, 10, 50, 10, True),
        (None, 10, 50, 11, False),
        (2, 10, 5, 10, True),
        (2, 10, 1, 11, True),
        (2, 10, 2, 11, False),
    ],
)
def test_given_up_only_when_every_limit_set_is_exceeded(
    limit: int | None,
    age_limit_s: int | None,
    tries: int,
    age_s: int,
    kept: bool,
) -> None:
    parameters = RetryParameters(limit=limit, age_limit_s=age_limit_s)
    copy = replace(COPY, progress=Progress(tries=tries, first_try_us=0))
    conclusion = conclude(copy, 0, Outcome(500, "", age_s * S, age_s * S), parameters, "c2")
    assert isinstance(conclusion, Retry if kept else GiveUp)


def test_age_counts_from_the_first_attempt_not_from_creation() -> None:
    copy = replace(COPY, content=replace(COPY.content, created_us=0))
    late = Outcome(500, "", 10**6 * S, 10**6 * S)
    assert isinstance(conclude(copy, 0, late, RetryParameters(age_limit_s=1), "c2"), Retry)


def test_tasks_own_options_replace_the_queues_wholesale() -> None:
    own = RetryParameters(min_backoff_s=5)
    copy = replace(COPY, content=replace(COPY.content, retry=own))
    conclusion = conclude(copy, 0, Outcome(500, "", 0, 0), NEVER, "c2")
    assert isinstance(conclusion, Retry)
    assert conclusion.copy.eta_us == 5 * S


def test_history_keeps_the_latest_tries() -> None:
    copy = COPY
    for number in range(HISTORY + 3):
        conclusion = conclude(copy, 0, Outcome(500 + number, "", number, number + 1), DEFAULT, f"c{number}")
        assert isinstance(conclusion, Retry)
        copy = conclusion.copy
    assert [entry.status for entry in copy.progress.history] == list(range(503, 503 + HISTORY))


def test_a_task_given_up_for_its_crashes_says_so() -> None:
    given_up = abandon(COPY, 4, "worker ended during 4 attempts in a row", 9, "c2")
    assert given_up.copy.progress.tries == 4
    assert given_up.copy.progress.executions == 0
    assert given_up.copy.progress.reason == "worker ended during 4 attempts in a row"


def test_a_reason_stays_short_and_on_one_line_whatever_it_quotes() -> None:
    conclusion = conclude(COPY, 0, Outcome(500, "first\n  second " + "x" * 10_000, 0, 0), DEFAULT, "c2")
    assert isinstance(conclusion, Retry)
    assert conclusion.copy.progress.reason.startswith("first second xxx")
    assert len(conclusion.copy.progress.reason) == 300
