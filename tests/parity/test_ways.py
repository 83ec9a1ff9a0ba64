"""The parity cases again, with our implementation reached through App Engine's own names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parity.case import Case
from tests.parity.cases import ALL
from tests.parity.compare import changes
from tests.parity.oracle import WAYS, Oracle, ours


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, oracle: Oracle) -> Iterator[Oracle]:  # without an oracle there is no test
    side = ours(request.param)
    yield side
    side.close()


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_as_app_engine(case: Case, oracle: Oracle, way: Oracle):
    """Where a statement is marked, the way may be more like App Engine than our own client is, and not less."""
    problems = []
    records = zip(case.statements, oracle.play(case.script), way.play(case.script), strict=True)
    for (text, mark), theirs, through in records:
        if mark is None:
            problems += [f"{text}\n{change}" for change in changes(theirs, through)]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
