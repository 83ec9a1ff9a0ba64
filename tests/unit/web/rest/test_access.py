"""Who may do what, and what is logged of it."""

from __future__ import annotations

import logging

import pytest

from gae_broker import errors
from gae_broker.domain import access_tokens
from gae_broker.settings import Settings
from gae_broker.web.rest.answers import translated
from gae_broker.web.rest.server import RestServer
from tests.unit.web.rest.conftest import BASE, shop

TOKENS = {name: f"{name}-token-of-twenty-letters" for name in ("ann", "wil", "bob", "eve")}
LEASE = "/pull/tasks/lease?numTasks=1&leaseSecs=1"
NEW = {"payloadBase64": "QUJD"}
CALLS = [
    ("GET", "/pull", {}, "ann wil bob"),
    ("GET", "/pull/tasks", {}, "ann bob"),
    ("GET", "/pull/tasks/a", {}, "ann bob"),
    ("POST", "/pull/tasks", {"json": NEW}, "wil bob"),
    ("POST", LEASE, {}, "ann bob"),
    ("POST", "/pull/tasks/a?newLeaseSeconds=1", {"json": {}}, "ann bob"),
    ("PATCH", "/pull/tasks/a?newLeaseSeconds=1", {"json": {}}, "ann bob"),
    ("DELETE", "/pull/tasks/a", {}, "ann bob"),
    ("GET", "/twice", {}, ""),
]


@pytest.fixture
def guarded():
    tokens = access_tokens.parse({f"{name}@example.com": token for name, token in TOKENS.items()})
    with shop(tokens=tokens) as found:
        yield found


def headers(name):
    return {"Authorization": f"Bearer {TOKENS[name]}"}


@pytest.mark.parametrize(("method", "path", "more", "permitted"), CALLS)
@pytest.mark.parametrize("name", TOKENS)
def test_the_acl_decides(guarded, method, path, more, permitted, name):
    guarded.world.put("a", eta_s=30)
    status = guarded.client.request(method, BASE + path, headers=headers(name), **more).status_code
    assert (status != 403) == (name in permitted.split()), status
    assert status in {200, 204, 403}


@pytest.mark.parametrize(("method", "path", "more", "_"), CALLS)
@pytest.mark.parametrize("shown", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKENS['bob']}", "Bearer é"])
def test_without_a_token_nobody_comes_in(guarded, method, path, more, _, shown):
    given = {} if shown is None else {"Authorization": shown.encode("utf-8")}
    answer = guarded.client.request(method, BASE + path, headers=given, **more)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["errors"][0]["reason"] in {"required", "authError"}
    assert guarded.world.stored() == 0


def test_descriptions_are_open(guarded):
    assert guarded.client.get("/openapi.json").json()["openapi"] == "3.1.0"
    found = guarded.client.get("/discovery/v1/apis/taskqueue/v1beta2/rest").json()
    assert found["baseUrl"] == "http://localhost:8090/taskqueue/v1beta2/projects/"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 200),
        ({"Host": "127.0.0.1:8090"}, 200),
        ({"Host": "[::1]:8090"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "evil.example:8090"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_without_tokens_no_web_page_comes_in_through_a_browser(here, given, status):
    assert here.client.get(f"{BASE}/pull", headers=given).status_code == status


def test_a_token_says_more_than_an_origin(guarded):
    given = headers("ann") | {"Host": "queue.example", "Origin": "https://evil.example"}
    assert guarded.client.get(f"{BASE}/pull", headers=given).status_code == 200


def test_a_line_for_each_request_and_nothing_secret_in_it(guarded, caplog):
    guarded.world.put("a")
    guarded.clock.advance(1)
    with caplog.at_level(logging.INFO, "gae_broker"):
        guarded.client.post(f"{BASE}{LEASE}&tag=", headers=headers("ann"))
        guarded.client.post(f"{BASE}/pull/tasks%0Aforged?q=secretquery", headers=headers("ann"), json=NEW)
    lines = [record for record in caplog.records if record.name == "gae_broker.access"]
    first, second = (record.getMessage() for record in lines)
    assert first.startswith(f"ann@example.com POST {BASE}/pull/tasks/lease: 200, ")
    assert first.endswith(", 1 tasks leased")
    assert "tasks%0Aforged" in second
    assert (lines[0].event, lines[0].status, lines[0].leased, lines[0].caller) == (
        "rest.request",
        200,
        1,
        "ann@example.com",
    )
    everything = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (TOKENS["ann"], "QUJD", "secretquery", "numTasks"):
        assert secret not in everything


# ------------------------------------------------------------------------------------ what goes wrong


def test_an_outage_is_503_and_says_when_to_try_again(here, monkeypatch):
    def down(*_):
        raise errors.LedgerUnavailableError("the ledger cannot be reached")

    monkeypatch.setattr(here.world.ledger, "control", down)
    answer = here.client.post(BASE + LEASE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["errors"][0] == {
        "domain": "global",
        "reason": "backendError",
        "message": "the ledger cannot be reached",
    }


def test_a_lease_that_fails_halfway_ends_with_what_it_has(here, monkeypatch, caplog):
    for index in range(30):
        here.world.put(f"t{index:02}")
    here.clock.advance(1)
    control, calls = here.world.ledger.control, []

    def failing(queue):
        calls.append(queue)
        if len(calls) > 1:
            raise errors.LedgerUnavailableError("gone")
        return control(queue)

    monkeypatch.setattr(here.world.ledger, "control", failing)
    assert [task["id"] for task in here.lease()] == [f"t{index:02}" for index in range(16)]
    assert "a lease ends early, with the tasks that it has: gone" in caplog.text


def test_faults_of_the_server_are_logged_and_not_told(here, monkeypatch, caplog):
    def broken(*_):
        raise errors.StorageError("/var/lib/secret.db is damaged")

    def unforeseen(*_):
        raise ZeroDivisionError("secret")

    for fault in (broken, unforeseen):
        monkeypatch.setattr(here.world.ledger, "control", fault)
        reason, message = here.refused("POST", LEASE, 500)
        assert (reason, "secret" in message) == ("internalError", False)
    assert "/var/lib/secret.db is damaged" in caplog.text


def test_every_error_of_ours_has_a_status():
    assert translated(errors.TaskLeaseExpiredError("x")).status == 400
    assert translated(errors.TombstonedTaskError("x")).status == 404
    assert translated(errors.TombstonedTaskError("x"), taken=True).status == 400
    assert translated(errors.PublishRejectedError("x")).status == 503
    assert translated(errors.SettingsError("x")).status == 500


def test_before_there_are_queues_it_is_not_ready():
    with shop() as found:
        found.api._service = None
        assert found.refused("GET", "/pull", 503)[0] == "backendError"


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "203.0.113.7:0", ""])
def test_beyond_this_machine_only_with_tokens(bind):
    with pytest.raises(errors.SettingsError, match="serve_bind"):
        RestServer(Settings(serve_bind=bind))
