"""The REST server keeps to its OpenAPI description, whatever it is asked: schemathesis makes up the requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from gae_broker.domain import access_tokens
from gae_broker.settings import Settings
from gae_broker.web.rest.methods import BASE_PATH, METHODS, Method
from tests.integration.test_rest_clients import QUEUES, served

TOKEN = "bob-token-of-twenty-letters"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MODES = {"positive": GenerationMode.POSITIVE, "negative": GenerationMode.NEGATIVE}
TOGETHER = [checks.positive_data_acceptance]
"""What the pieces of a valid request may be together, as tag and groupByTag, or which ids are taken, no schema says."""
load_all_checks()


@pytest.fixture(scope="module")
def api(tmp_path_factory) -> Iterator[Any]:
    """The description, from a server with one queue and one token that may do everything with it."""
    folder = tmp_path_factory.mktemp("rest")
    path = folder / "queue.yaml"
    path.write_text(QUEUES.replace("ann@", "bob@").replace("wil@", "bob@"), "utf-8")
    chosen = Settings(
        url="embedded://",
        ledger="sqlite://",
        queue_yaml=str(path),
        serve_bind="127.0.0.1:0",
        serve_tokens=access_tokens.parse({"bob@example.com": TOKEN}),
    )
    with served(chosen) as server:
        yield schemathesis.openapi.from_url(f"http://{server.address}/openapi.json")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
def test_every_answer_is_as_described(api: Any, method: Method, mode: str) -> None:
    """Any project and queue: mostly there is none."""
    operation = api[BASE_PATH + method.path][method.http]

    @settings(max_examples=50)
    @given(case=operation.as_strategy(generation_mode=MODES[mode]))
    def holds(case: Any) -> None:
        case.call_and_validate(headers=HEADERS, excluded_checks=TOGETHER)

    holds()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
def test_every_answer_about_a_queue_is_as_described(api: Any, method: Method) -> None:
    """A queue that there is, and few tasks, so that methods meet them."""
    operation = api[BASE_PATH + method.path][method.http]
    insert = api[BASE_PATH + "{project}/taskqueues/{taskqueue}/tasks"]["POST"]

    @settings(max_examples=50)
    @given(case=operation.as_strategy(), made=insert.as_strategy())
    def holds(case: Any, made: Any) -> None:
        for one in (made, case):
            answer = asked(one)
            one.validate_response(answer, excluded_checks=TOGETHER)

    holds()


def asked(case: Any) -> Any:
    """The answer about a queue that there is, and one of a few tasks."""
    case.path_parameters |= {"project": "shop", "taskqueue": "pull"}
    if "task" in case.path_parameters:
        case.path_parameters["task"] = f"t{len(case.path_parameters['task']) % 3}"
    answer = case.call(headers=HEADERS)
    assert answer.status_code not in {401, 403}, answer.text
    return answer
