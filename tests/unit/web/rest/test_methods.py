"""What each method answers."""

from __future__ import annotations

import gzip
import json

import pytest

from gae_broker.domain.queue import Mode, Queue, QueueFile
from tests.unit.engine.worlds import START_US, S
from tests.unit.web.rest.conftest import BASE, shop

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_the_whole_way_of_a_task(here):
    made = here.ask("POST", "/pull/tasks", json={"id": "a", "queueName": "pull", "payloadBase64": "_-8="})
    assert made == {
        "kind": "taskqueues#task",
        "id": "a",
        "queueName": "pull",
        "enqueueTimestamp": made["enqueueTimestamp"],
        "leaseTimestamp": str(START_US),
        "retry_count": 0,
        "payloadBase64": "_-8=",
    }
    assert here.ask("GET", "/pull/tasks/a") == made
    here.clock.advance(1)
    (leased,) = here.lease(seconds=30)
    end = here.clock.us + 30 * S
    assert leased == made | {
        "queueName": "projects/shop/taskqueues/pull",
        "leaseTimestamp": str(end),
        "retry_count": 1,
    }
    assert here.lease() == []
    here.clock.advance(5)
    changed = here.ask("POST", "/pull/tasks/a", params={"newLeaseSeconds": 60}, json=leased)
    assert changed == leased | {"leaseTimestamp": str(here.clock.us + 60 * S), "queueName": "pull"}
    assert here.refused("POST", "/pull/tasks/a", 400, params={"newLeaseSeconds": 60}, json=leased)[0] == "invalid"
    patched = here.ask("PATCH", "/pull/tasks/a", params={"newLeaseSeconds": 0}, json={"queueName": "pull"})
    assert patched["leaseTimestamp"] == str(here.clock.us)
    here.clock.advance(1)
    assert [task["retry_count"] for task in here.lease()] == [2]
    assert here.ask("DELETE", "/pull/tasks/a", status=204) is None
    for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"params": {"newLeaseSeconds": 1}, "json": {}})):
        assert here.refused(method, "/pull/tasks/a", 404, **more)[0] == "notFound"
    reason, message = here.refused("POST", "/pull/tasks", 400, json={"id": "a", "payloadBase64": ""})
    assert (reason, "was deleted at" in message) == ("duplicate", True)


def test_an_insert_sets_the_eta_and_tag_and_chooses_an_id(here):
    body = {"payloadBase64": "asdf123", "leaseTimestamp": str(START_US + 9 * S), "tag": "x", "enqueueTimestamp": 5}
    made = here.ask("POST", "/pull/tasks", json=body)
    assert (made["payloadBase64"], made["leaseTimestamp"], made["tag"]) == ("asdf120=", body["leaseTimestamp"], "x")
    assert made["id"]
    assert int(made["enqueueTimestamp"]) >= START_US
    assert here.ask("GET", f"/pull/tasks/{made['id']}") == made
    here.clock.advance(5)
    assert here.lease() == []
    here.clock.advance(5)
    assert [task["id"] for task in here.lease()] == [made["id"]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "payloadBase64: required"),
        ({"payloadBase64": "a+b/"}, "url-safe"),
        ({"payloadBase64": "a b"}, "url-safe"),
        ({"payloadBase64": "abcde"}, "one too many"),
        ({"payloadBase64": 5}, "payloadBase64: expected a string"),
        ({"payloadBase64": "", "id": "not/a name"}, "does not match"),
        ({"payloadBase64": "", "id": 5}, "id: expected"),
        ({"payloadBase64": "", "tag": "x" * 501}, "501 characters"),
        ({"payloadBase64": "", "queueName": "other"}, "the path's is 'pull'"),
        ({"payloadBase64": "", "leaseTimestamp": "soon"}, "leaseTimestamp: expected"),
        ({"payloadBase64": "", "leaseTimestamp": True}, "leaseTimestamp: expected"),
        ({"payloadBase64": "", "leaseTimestamp": 2**63}, "leaseTimestamp: expected"),
        ({"payloadBase64": "", "leaseTimestamp": -5}, "before 1970"),
        ({"payloadBase64": "", "leaseTimestamp": START_US + 31 * 86_400 * S}, "30 days"),
        ({"payloadBase64": "", "retry_count": "1"}, "retry_count: expected"),
        ({"payloadBase64": "AAAA" * 349_526}, "bytes"),
        ([], "no object"),
    ],
)
def test_a_task_that_cannot_be(here, body, words):
    assert words in here.refused("POST", "/pull/tasks", 400, json=body)[1]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"payloadBase64": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json(here, body):
    assert here.refused("POST", "/pull/tasks", 400, content=body)[0] == "parseError"


def test_bodies_are_bounded_packed_or_not(here):
    body = json.dumps({"id": "z", "payloadBase64": "QUJD"}).encode()
    packed = {"Content-Encoding": "gzip"}
    assert here.ask("POST", "/pull/tasks", content=gzip.compress(body), headers=packed)["payloadBase64"] == "QUJD"
    bomb = gzip.compress(b" " * 50_000_000)
    for more in ({"content": b" " * 3_000_000}, {"content": bomb, "headers": packed}):
        assert here.refused("POST", "/pull/tasks", 413, **more)[0] == "requestTooLarge"
    for broken in (body, gzip.compress(body)[:-9]):
        assert here.refused("POST", "/pull/tasks", 400, content=broken, headers=packed)[0] == "parseError"
    here.refused("POST", "/pull/tasks", 415, content=body, headers={"Content-Encoding": "br"})


def test_lease_by_tag(here):
    for index, tag in enumerate(["x", "y", "x", None]):
        here.world.put(f"t{index}", eta_s=-index, tag=tag)
    here.clock.advance(1)
    assert [task["id"] for task in here.lease(groupByTag="true", tag="y")] == ["t1"]
    assert [task["id"] for task in here.lease(groupByTag="true")] == ["t3"]
    assert [(task["id"], task["tag"]) for task in here.lease(groupByTag="true")] == [("t2", "x"), ("t0", "x")]
    assert "groupByTag" in here.refused("POST", "/pull/tasks/lease?tag=x&numTasks=1&leaseSecs=1", 400)[1]
    here.refused("POST", f"/pull/tasks/lease?groupByTag=true&tag={'x' * 501}&numTasks=1&leaseSecs=1", 400)


def test_lease_parameters_may_stand_in_a_form(here):
    here.world.put("a")
    here.clock.advance(1)
    found = here.ask("POST", "/pull/tasks/lease", content=b"numTasks=5&leaseSecs=9", headers=FORM)
    assert [task["id"] for task in found["items"]] == ["a"]


@pytest.mark.parametrize(
    ("query", "reason", "words"),
    [
        ("", "required", "Required parameter: numTasks"),
        ("numTasks=1", "required", "Required parameter: leaseSecs"),
        ("numTasks=0&leaseSecs=1", "invalidParameter", "1 to 1000"),
        ("numTasks=1001&leaseSecs=1", "invalidParameter", "1 to 1000"),
        ("numTasks=1&leaseSecs=604801", "invalidParameter", "0 to 604800"),
        ("numTasks=1&leaseSecs=-1", "invalidParameter", "0 to 604800"),
        ("numTasks=1&leaseSecs=1.5", "invalidParameter", "32 bits"),
        ("numTasks=1&leaseSecs=99999999999999999999", "invalidParameter", "32 bits"),
        ("numTasks=1&leaseSecs=1&groupByTag=perhaps", "invalidParameter", "true or false"),
        ("numTasks=1&leaseSecs=1&alt=xml", "invalidParameter", "json"),
        ("numTasks=1&leaseSecs=1&fields=items(", "invalidParameter", "items(id,tag)"),
    ],
)
def test_a_lease_that_cannot_be(here, query, reason, words):
    found = here.refused("POST", f"/pull/tasks/lease?{query}", 400)
    assert (found[0], words in found[1]) == (reason, True), found


def test_a_long_lease_comes_whole_and_in_order(here):
    for index in range(150):
        here.world.put(f"t{index:03}", tag="x" if index % 2 else None)
    here.clock.advance(1)
    assert [task["id"] for task in here.lease(1000)] == [f"t{index:03}" for index in range(150)]


def test_the_queue(here):
    here.world.put("a", eta_s=-7)
    here.world.put("b", eta_s=3)
    here.clock.advance(1)
    assert "stats" not in here.ask("GET", "/pull")
    found = here.ask("GET", "/pull?getStats=true")
    assert found == {
        "kind": "taskqueues#taskqueue",
        "id": "pull",
        "acl": {
            "adminEmails": [],
            "consumerEmails": ["ann@example.com", "Bob@example.com"],
            "producerEmails": ["wil@example.com", "bob@example.com"],
        },
        "stats": {
            "totalTasks": 2,
            "oldestTask": str(START_US // S - 7),
            "leasedLastMinute": "0",
            "leasedLastHour": "0",
        },
    }
    assert here.ask("GET", "/twice")["maxLeases"] == 2
    here.lease()
    here.clock.advance(100)
    stats = here.ask("GET", "/pull?getStats=true")["stats"]
    assert (stats["leasedLastMinute"], stats["leasedLastHour"]) == ("0", "1")


def test_a_list_has_a_hundred_tasks_by_eta_and_no_payloads(here):
    assert here.ask("GET", "/pull/tasks") == {"kind": "taskqueues#tasks"}
    for index in range(120):
        here.world.put(f"t{index:03}", eta_s=-index, tag="x" if index % 7 == 0 else None)
    here.clock.advance(1)
    here.lease(1)
    found = here.ask("GET", "/pull/tasks")
    assert [task["id"] for task in found["items"]] == [f"t{index:03}" for index in range(118, 18, -1)]
    assert not any("payloadBase64" in task for task in found["items"])
    assert set(found) == {"kind", "items"}


def test_parts_of_answers(here):
    here.world.put("a", tag="x")
    here.clock.advance(1)
    assert here.ask("GET", "/pull/tasks?fields=items(id,tag)") == {"items": [{"id": "a", "tag": "x"}]}
    assert here.ask("GET", "/pull?fields=acl/producerEmails,id")["id"] == "pull"
    leased = here.ask("POST", "/pull/tasks/lease?numTasks=1&leaseSecs=0&fields=items/id")
    assert leased == {"items": [{"id": "a"}]}
    here.clock.advance(1)
    assert here.ask("POST", "/pull/tasks/lease?numTasks=1&leaseSecs=0&fields=kind") == {"kind": "taskqueue#tasks"}
    here.clock.advance(1)
    pretty, plain = (
        here.client.post(f"{BASE}/pull/tasks/lease?numTasks=1&leaseSecs=0&prettyPrint={pretty}").text
        for pretty in ("true", "false")
    )
    assert pretty.startswith('{\n "kind": "taskqueue#tasks",\n "items": [\n  {\n   "kind": "taskqueues#task",')
    assert (plain, pretty.endswith("\n ]\n}\n")) == ('{"kind":"taskqueue#tasks"}', True)


@pytest.mark.parametrize("method", ["PATCH", "GET"])
def test_a_method_may_stand_in_a_header(here, method):
    here.world.put("a")
    here.clock.advance(1)
    (task,) = here.lease()
    headers = {"X-HTTP-Method-Override": method}
    more = {"json": {}} if method == "PATCH" else {"content": b"fields=id", "headers": FORM | headers}
    query = "?newLeaseSeconds=600" if method == "PATCH" else ""
    found = here.ask("POST", f"/pull/tasks/a{query}", **({"headers": headers} | more))
    expected = str(here.clock.us + 600 * S) if method == "PATCH" else None
    assert found.get("leaseTimestamp") == expected
    assert found["id"] == task["id"]


def test_large_answers_are_gzipped_for_whom_that_suits(here):
    here.world.put("a")
    here.clock.advance(1)
    big = {"payloadBase64": "QUJD" * 1000, "id": "big"}
    here.ask("POST", "/pull/tasks", json=big)
    found = here.client.get(f"{BASE}/pull/tasks/big", headers={"Accept-Encoding": "gzip"})
    assert (found.headers["content-encoding"], found.json()["payloadBase64"]) == ("gzip", big["payloadBase64"])
    assert "content-encoding" not in here.client.get(f"{BASE}/pull/tasks/big", headers={"Accept-Encoding": ""}).headers


# ------------------------------------------------------------------------------------ what is not there


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "pull, twice"),
        ("GET", "/default", 400, "push queue"),
        ("GET", "/pull/tasks/none", 404, "no task 'none'"),
        ("DELETE", "/pull/tasks/none", 404, "no task 'none'"),
        ("DELETE", "/pull/tasks/no.such", 400, "task: found"),
        ("GET", "/pull/more/levels/there", 404, "nothing at this path"),
        ("PUT", "/pull/tasks/a", 405, "PUT is nothing to do"),
        ("DELETE", "/pull", 405, "DELETE is nothing to do"),
    ],
)
def test_what_is_not_there(here, method, path, status, words):
    assert words in here.refused(method, path, status)[1]


def test_a_method_that_is_not_allowed_names_those_that_are(here):
    allowed = here.client.put(f"{BASE}/pull/tasks/a").headers["allow"]
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(allowed.replace(" ", "").split(","))


def test_only_the_files_own_application_where_it_names_one():
    queues = QueueFile(queues={"pull": Queue("pull", mode=Mode.PULL)}, application="s~shop")
    with shop(queues=queues) as found:
        for project, status in (("shop", 200), ("e~shop", 200), ("other", 404), ("s~other", 404)):
            assert found.client.get(f"/taskqueue/v1beta2/projects/{project}/taskqueues/pull").status_code == status


def test_a_paused_queue_gives_nothing_and_changes_no_lease(here):
    here.world.put("a")
    here.clock.advance(1)
    (leased,) = here.lease()
    here.world.runtime.controller.pause("pull")
    assert here.lease() == []
    assert "paused" in here.refused("PATCH", "/pull/tasks/a?newLeaseSeconds=9", 400, json=leased)[1]


# ------------------------------------------------------------------------------------ brokers that see less


def test_where_tasks_cannot_be_listed_the_answers_say_so(blind):
    blind.world.put("plain")
    blind.world.put("tagged", tag="x")
    found = blind.ask("GET", "/pull/tasks")
    assert [task["id"] for task in found["items"]] == ["tagged"]
    assert "those with a tag" in found["incomplete"]
    assert blind.ask("GET", "/pull/tasks/tagged")["tag"] == "x"
    reason, message = blind.refused("GET", "/pull/tasks/plain", 501)
    assert (reason, "pull tasks with a tag" in message) == ("notImplemented", True)
    assert blind.ask("DELETE", "/pull/tasks/plain", status=204) is None
    blind.refused("GET", "/pull/tasks/plain", 404)


def test_where_tasks_cannot_be_looked_up_a_lease_is_changed_by_who_still_has_the_task(blind):
    blind.ask("POST", "/pull/tasks", json={"id": "a", "payloadBase64": "QUJD"})
    blind.clock.advance(1)
    (leased,) = blind.lease()
    without = {name: value for name, value in leased.items() if name != "payloadBase64"}
    reason, _ = blind.refused("PATCH", "/pull/tasks/a?newLeaseSeconds=90", 501, json=without)
    assert reason == "notImplemented"
    changed = blind.ask("POST", "/pull/tasks/a?newLeaseSeconds=0", json=leased)
    assert changed == leased | {"leaseTimestamp": str(blind.clock.us), "queueName": "pull"}
    blind.clock.advance(1)
    assert [(task["payloadBase64"], task["retry_count"]) for task in blind.lease()] == [("QUJD", 2)]
