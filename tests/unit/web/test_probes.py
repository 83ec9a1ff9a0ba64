"""The probes: what they say, and that they do not hammer what they look at."""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.testclient import TestClient

from gae_broker.engine.checking import Finding
from gae_broker.ports import Check, CheckStatus
from gae_broker.settings import Settings
from gae_broker.web import readiness as module
from gae_broker.web.probes import ProbeServer, application
from gae_broker.web.readiness import Pulse, Readiness

FINE = Finding(Check("broker", CheckStatus.OK, "is there"))
ODD = Finding(Check("dead letters", CheckStatus.WARNING, "3 in mail"))
BROKEN = Finding(Check("ledger", CheckStatus.FAILED, "is gone"))


class Examination:
    """Checks that are made when the test lets them, and counted."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        self.made = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self) -> tuple[Finding, ...]:
        self.made += 1
        self.go_on.wait(10)
        return self.findings


def answer(examination, path="/readyz", pulse=None):
    with TestClient(application(pulse or Pulse(), Readiness(examination))) as client:
        return client.get(path)


def test_ready_where_nothing_failed_and_each_check_is_listed():
    found = answer(Examination(FINE, ODD))
    assert found.status_code == 200
    assert found.json()["ok"] is True
    assert found.json()["checks"] == [
        {"name": "broker", "status": "ok", "text": "is there"},
        {"name": "dead letters", "status": "warning", "text": "3 in mail"},
    ]


def test_not_ready_where_a_check_failed():
    found = answer(Examination(FINE, BROKEN))
    assert (found.status_code, found.json()["ok"]) == (503, False)


def test_many_probes_make_the_checks_once():
    examination = Examination(FINE)
    readiness = Readiness(examination)
    with TestClient(application(Pulse(), readiness)) as client:
        assert [client.get("/readyz").status_code for _ in range(20)] == [200] * 20
    assert examination.made == 1


def test_checks_that_take_long_do_not_hold_up_the_probe(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    examination = Examination(FINE)
    examination.go_on.clear()
    readiness = Readiness(examination)
    assert [readiness.answer().ok for _ in range(3)] == [False] * 3
    assert examination.made == 1
    examination.go_on.set()
    monkeypatch.setattr(module, "_PATIENCE_S", 10.0)
    assert readiness.answer().ok


def test_an_old_answer_stands_in_while_new_checks_are_made(monkeypatch):
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    examination = Examination(FINE)
    readiness = Readiness(examination)
    assert readiness.answer().ok
    examination.go_on.clear()
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    assert readiness.answer().ok
    monkeypatch.setattr(module, "STALE_S", 0.0)
    assert not readiness.answer().ok
    examination.go_on.set()


def test_alive_before_the_first_beat_and_while_it_beats():
    pulse = Pulse()
    assert answer(Examination(), "/livez", pulse).status_code == 200

    async def beat_once() -> None:
        beating = asyncio.create_task(pulse.beat())
        await asyncio.sleep(0)
        beating.cancel()

    asyncio.run(beat_once())
    assert answer(Examination(), "/livez", pulse).status_code == 200


def test_a_loop_that_turns_no_more_is_not_alive():
    pulse = Pulse(stuck_s=0.0)
    pulse._last = 0.0
    found = answer(Examination(), "/livez", pulse)
    assert (found.status_code, found.json()["ok"]) == (503, False)


def test_a_port_that_is_taken_is_told_at_once():
    with (
        ProbeServer(Settings(url="embedded://", probe_bind="127.0.0.1:0")) as server,
        pytest.raises(OSError, match="--probe-bind"),
    ):
        ProbeServer(Settings(url="embedded://", probe_bind=server.address))
