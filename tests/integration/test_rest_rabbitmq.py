"""The REST server on a real RabbitMQ: what it can do there, and what it says it cannot."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httplib2
import pytest

from gae_broker.settings import Settings
from tests.integration.test_rest_clients import served
from tests.servers import VERSIONS

PATIENCE_S = 30.0
pytestmark = pytest.mark.parametrize("rabbitmq", [VERSIONS[-1]], indirect=True, scope="module")


class Asking:
    """Asks a server about one queue."""

    def __init__(self, base: str) -> None:
        self._http = httplib2.Http()
        self._base = base

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer, content = self._http.request(
            self._base + path, method, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        return answer.status, json.loads(content) if content else None

    def lease(self, count: int, seconds: int = 60) -> list[dict[str, Any]]:
        """Lease as many tasks as asked for, as they become ready: RabbitMQ may take a moment."""
        found: list[dict[str, Any]] = []
        give_up_s = time.monotonic() + PATIENCE_S
        while len(found) < count:
            assert time.monotonic() < give_up_s, f"{len(found)} of {count}"
            status, answer = self("POST", f"/tasks/lease?numTasks={count - len(found)}&leaseSecs={seconds}")
            assert status == 200
            found += answer.get("items", [])
        return found

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def ask(rabbitmq_url, tmp_path) -> Iterator[Asking]:
    queue = f"pull-{secrets.token_hex(3)}"
    path = tmp_path / "queue.yaml"
    path.write_text(f"queue:\n- name: {queue}\n  mode: pull\n", "utf-8")
    settings = Settings(
        url=rabbitmq_url, ledger=f"sqlite:///{tmp_path}/ledger.db", queue_yaml=str(path), serve_bind="127.0.0.1:0"
    )
    with served(settings) as server:
        found = Asking(f"http://{server.address}/taskqueue/v1beta2/projects/shop/taskqueues/{queue}")
        yield found
        found.close()


def payload(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def test_the_whole_way_of_a_task(ask) -> None:
    assert ask("POST", "/tasks", {"id": "a", "payloadBase64": payload("one")})[0] == 200
    assert ask("POST", "/tasks", {"id": "a", "payloadBase64": payload("one")})[0] == 400
    (leased,) = ask.lease(1)
    assert (leased["id"], leased["payloadBase64"], leased["retry_count"]) == ("a", payload("one"), 1)
    status, extended = ask("POST", "/tasks/a?newLeaseSeconds=600", leased)
    assert (status, int(extended["leaseTimestamp"]) > int(leased["leaseTimestamp"])) == (200, True)
    assert ask("POST", "/tasks/a?newLeaseSeconds=600", leased)[0] == 400, "that lease is another's now"
    assert ask("POST", "/tasks/a?newLeaseSeconds=0", extended)[0] == 200
    (again,) = ask.lease(1)
    assert (again["id"], again["payloadBase64"], again["retry_count"]) == ("a", payload("one"), 2)
    assert ask("DELETE", "/tasks/a")[0] == 204
    assert ask("GET", "/tasks/a")[0] == 404


def test_what_cannot_be_seen_is_said(ask) -> None:
    ask("POST", "/tasks", {"id": "plain", "payloadBase64": payload("p")})
    ask("POST", "/tasks", {"id": "tagged", "payloadBase64": payload("t"), "tag": "x"})
    status, listed = ask("GET", "/tasks")
    assert (status, [task["id"] for task in listed["items"]]) == (200, ["tagged"])
    assert listed["incomplete"] == "this broker cannot list tasks: shown are those with a tag"
    assert ask("GET", "/tasks/tagged")[1]["payloadBase64"] == payload("t")
    status, refused = ask("GET", "/tasks/plain")
    assert (status, refused["error"]["errors"][0]["reason"]) == (501, "notImplemented")
    leased = {task["id"]: task for task in ask.lease(2)}
    assert ask("PATCH", "/tasks/plain?newLeaseSeconds=90", {"queueName": "x"})[0] == 400
    assert ask("PATCH", "/tasks/plain?newLeaseSeconds=90", {})[0] == 501
    assert ask("PATCH", "/tasks/tagged?newLeaseSeconds=90", {})[0] == 200
    assert ask("PATCH", "/tasks/plain?newLeaseSeconds=90", leased["plain"])[0] == 200
    assert ask("DELETE", "/tasks/unheard-of")[0] == 204, "RabbitMQ cannot tell"


def test_a_long_lease_is_one_answer(ask) -> None:
    for number in range(120):
        body = {"payloadBase64": payload("x" * 10_000), "tag": "x" if number % 10 == 0 else None}
        assert ask("POST", "/tasks", body)[0] == 200
    assert len({task["id"] for task in ask.lease(120)}) == 120
    assert ask("POST", "/tasks/lease?numTasks=10&leaseSecs=1")[1] == {"kind": "taskqueue#tasks"}
