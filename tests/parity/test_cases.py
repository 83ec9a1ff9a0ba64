"""The same scripts to App Engine's library and to ours: each statement gives the same, or a listed difference."""

from __future__ import annotations

import json

import pytest

from tests.parity import player
from tests.parity.case import Case
from tests.parity.cases import ALL
from tests.parity.differences import DIFFERENCES
from tests.parity.oracle import Oracle
from tests.parity.our_side import OurSide


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_as_app_engine(case: Case, oracle: Oracle):
    theirs = oracle.play(case.script)
    ours = json.loads(json.dumps(player.play(OurSide, case.script)))
    problems = []
    for (text, mark), expected, given in zip(case.statements, theirs, ours, strict=True):
        if (expected != given) != bool(mark):
            claim = f"does not show {mark} any more" if mark else "differs"
            problems.append(f"{text}\n    {claim}\n    App Engine: {json.dumps(expected)}\n    ours:       {json.dumps(given)}")
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_every_listed_difference_shows_in_a_case():
    marked = {mark for case in ALL for _, mark in case.statements if mark}
    assert marked == {difference.id for difference in DIFFERENCES}


def test_differences_are_listed_once_and_say_why():
    assert len({difference.id for difference in DIFFERENCES}) == len(DIFFERENCES)
    assert all(difference.where and difference.what and difference.reason for difference in DIFFERENCES)
