"""The same scripts to App Engine's library and to ours: each statement gives the same, or a listed difference."""

from __future__ import annotations

import pytest

from tests.parity.case import Case
from tests.parity.cases import ALL
from tests.parity.compare import changes, play_both
from tests.parity.differences import DIFFERENCES
from tests.parity.oracle import Oracle


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_as_app_engine(case: Case, oracle: Oracle):
    problems = []
    for (text, mark), (theirs, ours) in zip(case.statements, play_both(oracle, case.script), strict=True):
        if mark is None:
            problems += [f"{text}\n{change}" for change in changes(theirs, ours)]
        elif theirs == ours:
            problems.append(f"{text}\n    does not show {mark!r} any more")
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_every_listed_difference_shows_in_a_case():
    marked = {mark for case in ALL for _, mark in case.statements if mark}
    assert marked == {difference.id for difference in DIFFERENCES}


def test_differences_are_listed_once_and_say_why():
    assert len({difference.id for difference in DIFFERENCES}) == len(DIFFERENCES)
    assert all(difference.where and difference.what and difference.reason for difference in DIFFERENCES)
