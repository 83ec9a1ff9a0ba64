"""``gae-broker dispatch --probe-bind`` from outside, as Kubernetes asks it."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.request
from typing import Any

from tests.acceptance.test_cli import APP, QUEUES

PATIENCE_S = 60.0


def ask(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def address(line: str) -> str:
    found = re.search(r"http://[\d.:]+", line)
    assert found, line
    return found[0]


def test_a_dispatcher_that_works_is_alive_and_ready_and_says_what_check_says(gae_broker) -> None:
    gae_broker.write("queue.yaml", QUEUES)
    gae_broker.write("handler.py", APP)
    dispatcher = gae_broker.start("dispatch", "--target", "handler:app", "--probe-bind", "127.0.0.1:0")
    url = address(dispatcher.line("Probes on"))
    dispatcher.line("Dispatching every push queue")
    assert ask(f"{url}/livez")[0] == 200
    deadline = time.monotonic() + PATIENCE_S
    while not (found := ask(f"{url}/readyz"))[1]["checks"]:
        assert time.monotonic() < deadline, found
    assert found[0] == 200, found
    told = {check["name"] for check in found[1]["checks"]}
    printed = json.loads(gae_broker("check", "--target", "handler:app", "--format", "json").out)["checks"]
    assert told == {check["name"] for check in printed} - {"settings"}
    assert dispatcher.end() == -signal.SIGTERM


def test_a_dispatcher_that_waits_for_its_ledger_is_alive_and_not_ready(gae_broker) -> None:
    gae_broker.write("queue.yaml", QUEUES)
    dispatcher = gae_broker.start(
        "dispatch",
        "--target",
        "http://127.0.0.1:1",
        "--probe-bind",
        "127.0.0.1:0",
        GAE_BROKER_LEDGER="postgresql://user:hunter2@127.0.0.1:1/none",
    )
    url = address(dispatcher.line("Probes on"))
    dispatcher.line("waiting until it can be used")
    assert ask(f"{url}/livez")[0] == 200
    deadline = time.monotonic() + PATIENCE_S
    while not (found := ask(f"{url}/readyz"))[1]["checks"]:
        assert time.monotonic() < deadline, found
    assert found[0] == 503
    failed = [check for check in found[1]["checks"] if check["status"] == "failed"]
    assert [check["name"] for check in failed] == ["ledger"]
    assert "hunter2" not in json.dumps(found[1])
    dispatcher.end()
