"""``tasks dead``, ``tasks redrive`` and ``topology export``."""

from __future__ import annotations

import json

import pytest

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.queue import Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Kind
from gae_broker.engine.delivery import Deliverer
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings


@pytest.fixture
def dead(cli, home):
    """Two tasks of queue ``mail`` that were given up, one with 503, one with 410."""
    for name in ("busy", "gone"):
        assert cli("tasks", "add", "mail", "--url", f"/{name}", "--name", name).code == 0
    with Runtime.open(Settings()) as runtime:
        deliverer = Deliverer(runtime)
        queue = Queue("mail", retry=RetryParameters(limit=0))
        attempts = deliverer.admit(queue, runtime.broker.get(Kind.PUSH, "mail", 10))
        now_us = runtime.clock.now_us()
        outcomes = [Outcome({"busy": 503, "gone": 410}[one.copy.name], "", now_us, now_us) for one in attempts]
        deliverer.settle(queue, list(zip(attempts, outcomes, strict=True)))
    return cli


def test_the_dead_are_listed_with_what_happened_to_them(dead):
    found = {task["name"]: task for task in dead("tasks", "dead", "mail", "--format", "json").data["tasks"]}
    assert found["gone"]["last_status"] == 410
    assert found["gone"]["tries"] == 1
    assert found["gone"]["died"]
    table = dead("tasks", "dead", "mail", "--status", "503").out
    assert "busy" in table
    assert "gone" not in table
    assert "dead_letters             2" in dead("queues", "describe", "mail").out


def test_a_dry_run_changes_nothing_and_a_redrive_puts_back_what_is_meant(dead):
    tried = dead("tasks", "redrive", "mail", "--status", "503", "--dry-run", "--format", "json")
    assert (tried.code, tried.data["redriven"], tried.data["first_names"]) == (0, 1, ["busy"])
    done = dead("tasks", "redrive", "mail", "--status", "503")
    assert (done.code, done.out) == (0, "")
    assert "1 task of queue 'mail' put back; 2 looked at" in done.err
    assert [task["name"] for task in dead("tasks", "list", "mail", "--format", "json").data["tasks"]] == ["busy"]
    assert [task["name"] for task in dead("tasks", "dead", "mail", "--format", "json").data["tasks"]] == ["gone"]


def test_a_redrive_wants_to_know_which(dead):
    refused = dead("tasks", "redrive", "mail")
    assert refused.code == 2
    assert "--all" in refused.err
    assert dead("tasks", "redrive", "mail", "--all").code == 0


def test_names_that_are_not_dead_fail_and_the_others_go(dead):
    found = dead("tasks", "redrive", "mail", "gone", "nobody")
    assert found.code == 1
    assert "nobody" in found.err
    assert [task["name"] for task in dead("tasks", "list", "mail", "--format", "json").data["tasks"]] == ["gone"]


def test_what_cannot_be_put_back_stays_dead_and_fails(dead):
    assert dead("tasks", "redrive", "mail", "gone").code == 0
    assert dead("tasks", "delete", "mail", "gone", "--yes").code == 0
    assert dead("tasks", "redrive", "mail", "--all").code == 0


def test_deleting_asks_first(dead):
    refused = dead("tasks", "dead", "mail", "--delete", "--all")
    assert refused.code == 2
    assert "delete 2 dead letters" in refused.err
    assert dead("tasks", "dead", "mail", "gone", "--delete", "--yes").code == 0
    assert [task["name"] for task in dead("tasks", "dead", "mail", "--format", "json").data["tasks"]] == ["busy"]


def test_definitions_name_what_rabbitmq_needs_and_no_password(cli, home):
    env = {"GAE_BROKER_URL": "amqp://ann:secret@rabbit.example/shop", "GAE_BROKER_LEDGER": "sqlite://"}
    found = cli("topology", "export", env=env)
    assert found.code == 0
    assert "secret" not in found.out
    made = json.loads(found.out)
    assert {one["vhost"] for one in (*made["queues"], *made["exchanges"], *made["bindings"])} == {"shop"}
    names = {one["name"] for one in made["queues"]}
    assert {"gaetq.push.q.mail", "gaetq.pull.q.inbox", "gaetq.dead.q.mail", "gaetq.orphan"} <= names
    newer = {name for one in made["queues"] for name in one["arguments"]}
    assert cli("topology", "export", "-o", "d.json", "--rabbitmq-version", "3.10", env=env).code == 0
    older = {name for one in json.loads((home / "d.json").read_text())["queues"] for name in one["arguments"]}
    assert newer - older == {"x-consumer-timeout", "x-consumer-disconnected-timeout"}


def test_an_embedded_broker_has_no_topology(cli):
    found = cli("topology", "export")
    assert found.code == 4
    assert "amqp://" in found.err
