"""The REST server as Google's own client sees it, made from the server's discovery document."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import google.oauth2.credentials
import httplib2
import pytest
from google.auth.exceptions import RefreshError
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

from gae_broker.domain import access_tokens
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings
from gae_broker.web.rest.server import RestServer

ANN, WIL = "ann-token-of-twenty-letters", "wil-token-of-twenty-letters"
WHERE = {"project": "s~shop", "taskqueue": "pull"}
QUEUES = """\
queue:
- name: pull
  mode: pull
  acl:
  - user_email: ann@example.com
  - writer_email: wil@example.com
- name: mail
"""


@contextmanager
def served(settings: Settings) -> Iterator[RestServer]:
    with Runtime.open(settings) as runtime:
        server = RestServer(settings)
        try:
            server.attach(runtime)
            yield server
        finally:
            server.close()


@pytest.fixture
def server(tmp_path) -> Iterator[RestServer]:
    path = tmp_path / "queue.yaml"
    path.write_text(QUEUES, "utf-8")
    tokens = access_tokens.parse({"ann@example.com": ANN, "wil@example.com": WIL})
    settings = Settings(
        url=f"embedded:///{tmp_path}/broker.db", queue_yaml=str(path), serve_bind="127.0.0.1:0", serve_tokens=tokens
    )
    with served(settings) as found:
        yield found


@pytest.fixture
def client(server) -> Iterator[Any]:
    """Makes a client that shows a token."""
    made = []
    http = httplib2.Http()
    _, text = http.request(f"http://{server.address}/discovery/v1/apis/taskqueue/v1beta2/rest")
    http.close()

    def make(token: str) -> Any:
        found = build_from_document(json.loads(text), credentials=google.oauth2.credentials.Credentials(token=token))
        made.append(found)
        return found

    yield make
    for found in made:
        found.close()


def encoded(payload: bytes) -> str:
    return base64.urlsafe_b64encode(payload).decode()


def status(request: HttpRequest) -> int:
    with pytest.raises(HttpError) as raised:
        request.execute()
    assert raised.value.reason
    return int(raised.value.status_code)


def test_a_generated_client_does_all_that_there_is(client) -> None:
    writer, worker = client(WIL).tasks(), client(ANN).tasks()
    for number in range(3):
        body = {"queueName": "pull", "id": f"t{number}", "payloadBase64": encoded(b"\xff\xfe"), "tag": "x"}
        made = writer.insert(**WHERE, body=body).execute()
        assert (made["kind"], made["id"], made["retry_count"]) == ("taskqueues#task", f"t{number}", 0)
    assert [task["id"] for task in worker.list(**WHERE).execute()["items"]] == ["t0", "t1", "t2"]
    leased = worker.lease(**WHERE, numTasks=2, leaseSecs=60, groupByTag=True, tag="x").execute()
    assert leased["kind"] == "taskqueue#tasks"
    first, second = leased["items"]
    assert base64.urlsafe_b64decode(first["payloadBase64"]) == b"\xff\xfe"
    updated = worker.update(**WHERE, task="t0", newLeaseSeconds=600, body=first).execute()
    assert int(updated["leaseTimestamp"]) > int(first["leaseTimestamp"])
    patched = worker.patch(**WHERE, task="t1", newLeaseSeconds=0, body={"queueName": "pull"}).execute()
    assert int(patched["leaseTimestamp"]) < int(second["leaseTimestamp"])
    assert worker.get(**WHERE, task="t0").execute()["leaseTimestamp"] == updated["leaseTimestamp"]
    again = worker.lease(**WHERE, numTasks=9, leaseSecs=60).execute()
    assert [(task["id"], task["retry_count"]) for task in again["items"]] == [("t2", 1), ("t1", 2)]
    for number in range(3):
        worker.delete(**WHERE, task=f"t{number}").execute()
    assert "items" not in worker.lease(**WHERE, numTasks=9, leaseSecs=60).execute()
    queue = client(ANN).taskqueues().get(**WHERE, getStats=True).execute()
    assert (queue["stats"]["totalTasks"], queue["stats"]["leasedLastMinute"]) == (0, "4")


def test_a_generated_client_understands_the_refusals(client) -> None:
    writer, worker, stranger = (client(token).tasks() for token in (WIL, ANN, "x" * 20))
    with pytest.raises(RefreshError):  # what it makes of a 401: the token is stale, and it has no way to a new one
        stranger.list(**WHERE).execute()
    assert status(writer.list(**WHERE)) == 403
    assert status(worker.get(**WHERE, task="none")) == 404
    assert status(worker.list(project="shop", taskqueue="none")) == 404
    assert status(worker.list(project="shop", taskqueue="mail")) == 400
    assert status(writer.insert(**WHERE, body={"payloadBase64": "a+b"})) == 400


def test_a_get_whose_url_is_too_long_comes_as_a_post(client) -> None:
    """Google's client does so above 2,048 characters, with the parameters in a form."""
    client(WIL).tasks().insert(**WHERE, body={"payloadBase64": "", "id": "t"}).execute()
    fields = "items(id)," + ",".join(["kind"] * 400)
    found = client(ANN).tasks().list(**WHERE, fields=fields).execute()
    assert found == {"kind": "taskqueues#tasks", "items": [{"id": "t"}]}
