"""Random scripts: App Engine's library and ours give the same for every statement."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parity import scripts
from tests.parity.case import Case
from tests.parity.compare import changes, play_both
from tests.parity.oracle import Oracle

# One oracle serves all examples: each script starts from nothing.
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
fewer = settings(many, max_examples=50)


LISTED = {("Error", "UnknownTaskError")}
"""Pairs of exceptions, App Engine's and ours, that are a listed difference (unknown-task)."""


def is_listed(theirs: Any, ours: Any) -> bool:
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return False
    return (theirs.get("error"), ours.get("error")) in LISTED


def check(oracle: Oracle, lines: str) -> None:
    case = Case("generated", lines)
    problems = []
    for (text, _), (theirs, ours) in zip(case.statements, play_both(oracle, case.script), strict=True):
        if not is_listed(theirs, ours):
            problems += [f"{text}\n{change}" for change in changes(theirs, ours)]
    if problems:
        pytest.fail("\n".join(["the script", lines, "gave", *problems[:10]]), pytrace=False)


@many
@given(lines=scripts.one_task())
def test_a_task_of_any_arguments(oracle: Oracle, lines: str):
    check(oracle, lines)


@fewer
@given(lines=scripts.retry_options())
def test_retry_options(oracle: Oracle, lines: str):
    check(oracle, lines)


@fewer
@given(lines=scripts.retries())
def test_a_task_that_fails(oracle: Oracle, lines: str):
    check(oracle, lines)


@many
@given(lines=scripts.histories())
def test_a_history_of_calls(oracle: Oracle, lines: str):
    check(oracle, lines)


@fewer
@given(lines=scripts.deferrals())
def test_a_deferred_call(oracle: Oracle, lines: str):
    check(oracle, lines)


@fewer
@given(lines=scripts.queue_files())
def test_a_queue_yaml(oracle: Oracle, lines: str):
    check(oracle, lines)


@fewer
@given(
    parts=st.lists(
        st.one_of(scripts.tasks((None, "", "v1", "v1.module")), scripts.retry_options()), min_size=5, max_size=20
    )
)
def test_many_constructions(oracle: Oracle, parts: list[str]):
    check(oracle, "\n".join(parts))
