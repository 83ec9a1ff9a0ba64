"""The migrated shop, tested as its own developers would: in process, in virtual time, with the pytest fixtures."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from flask import Flask

from gae_broker import taskqueue
from gae_broker.testing.bench import TaskBench
from tests.apps.demo import plan
from tests.apps.demo.tally import Tally
from tests.apps.shop import journal as journals

APPS = Path(__file__).resolve().parents[1] / "apps"
pytestmark = pytest.mark.gae_queues(APPS / "shop" / "queue.yaml")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal.jsonl"
    monkeypatch.setenv(journals.PATH_VARIABLE, str(path))
    monkeypatch.syspath_prepend(APPS)
    return path


@pytest.fixture
def gae_app(journal: Path) -> Flask:
    app = importlib.import_module("shop.main").app
    assert isinstance(app, Flask)
    return app


def entries(journal: Path) -> list[tuple[str, str, str, int]]:
    return [(entry.kind, entry.item, entry.outcome, entry.run) for entry, _ in journals.read(journal)]


def test_an_order_is_charged_confirmed_and_packed(gae_app: Flask, gae_tasks: TaskBench, journal: Path) -> None:
    customer = gae_app.test_client()
    form = {"id": "o001", "card": "good", "mail": "a@shop.example", "warehouse": "oslo"}
    assert customer.post("/orders", data=form).status_code == 202
    assert customer.post("/orders", data=form).status_code == 200
    assert [task.name for task in gae_tasks.list("payments")] == ["charge-o001"]
    gae_tasks.run_all()
    assert sorted(entries(journal)) == [
        ("charge", "o001", "done", 0),
        ("receipt", "o001", "done", 0),
        ("reserve", "o001", "done", 0),
    ]
    (label,) = gae_tasks.list("labels")
    assert (label.tag, label.payload) == ("oslo", b"o001 x2")
    assert customer.post("/orders", data=form).get_json() == {"order": "o001", "accepted": False}


def test_a_flaky_gateway_is_tried_again_and_an_expired_card_is_given_up(
    gae_app: Flask,
    gae_tasks: TaskBench,
    journal: Path,
) -> None:
    for order, card in (("o1", "flaky"), ("o2", "expired")):
        form = {"id": order, "card": card, "mail": "a@nowhere.invalid", "warehouse": "oslo"}
        gae_app.test_client().post("/orders", data=form)
    runs = gae_tasks.run_all()
    found = entries(journal)
    assert [entry for entry in found if entry[1] == "o2"] == [("charge", "o2", "declined", run) for run in range(3)]
    assert ("charge", "o1", "done", 2) in found
    assert ("receipt", "o1", "declined", 0) in found
    assert [run.name for run in runs if run.given_up] == gae_tasks.dead("payments") == ["charge-o2"]


def test_a_jammed_label_is_leased_again_when_its_lease_ends(
    gae_app: Flask,
    gae_tasks: TaskBench,
    journal: Path,
) -> None:
    printer = importlib.import_module("shop.printer")
    queue = taskqueue.Queue("labels")
    queue.add([taskqueue.Task(payload=f"o{n}7 x1", method="PULL", tag="oslo") for n in range(2)])
    queue.add(taskqueue.Task(payload="o8 x1", method="PULL", tag="turin"))
    leased = [printer.print_labels(queue) for _ in range(3)]
    assert leased == [2, 1, 0]
    gae_tasks.advance(seconds=printer.LEASE_S + 1)
    assert [printer.print_labels(queue), printer.print_labels(queue)] == [2, 0]
    assert [entry for entry in entries(journal) if entry[1] == "o07"] == [
        ("label", "o07", "failed", 0),
        ("label", "o07", "done", 1),
    ]
    assert gae_tasks.list("labels") == []


def test_the_demos_plan_comes_true(gae_app: Flask, gae_tasks: TaskBench, journal: Path) -> None:
    customer = gae_app.test_client()
    for request in plan.requests():
        answer = customer.post(request.path, data=request.body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == request.status, request.path
    gae_tasks.run_all()
    printer = importlib.import_module("shop.printer")
    queue = taskqueue.Queue("labels")
    for _ in range(2):
        while printer.print_labels(queue):
            pass
        gae_tasks.advance(seconds=printer.LEASE_S + 1)
    tally = Tally(plan.expectations())
    for entry, _ in journals.read(journal):
        # Reminders are due by the system's clock, which the test's is ahead of.
        tally.count(journals.Entry(entry.kind, entry.item, entry.outcome, entry.run, entry.at))
    assert tally.faults() == []
    assert set(customer.get("/admin/queues").get_json().values()) == {0}
