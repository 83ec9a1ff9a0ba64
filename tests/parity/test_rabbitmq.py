"""The parity cases that apply there, on RabbitMQ."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.parity import player
from tests.parity.case import Case
from tests.parity.cases import ALL
from tests.parity.compare import changes
from tests.parity.oracle import Oracle
from tests.parity.rabbit_side import Rabbit, applies
from tests.servers import VERSIONS

# The newest only: what differs between versions the contract suite covers, on each.
pytestmark = pytest.mark.parametrize("rabbitmq", [VERSIONS[-1]], indirect=True, scope="module")
CASES = [case for case in ALL if applies(case)]


@pytest.fixture(scope="module")
def rabbit(rabbitmq_url: str) -> Iterator[Rabbit]:
    opened = Rabbit(rabbitmq_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_app_engine(case: Case, oracle: Oracle, rabbit: Rabbit):
    problems = []
    ours = json.loads(json.dumps(player.play(rabbit.side, case.script)))
    for (text, mark), theirs, here in zip(case.statements, oracle.play(case.script), ours, strict=True):
        if mark is None:
            problems += [f"{text}\n{change}" for change in changes(theirs, here)]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
