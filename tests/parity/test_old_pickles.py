"""Pickles that App Engine's own library made load here, as our objects with the same properties."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gae_broker import deferred, taskqueue
from tests.parity import player
from tests.parity.oracle import PYTHON, ROOT, Oracle

MAKE = """
import base64, copy, json, os, pickle, sys
sys.path.insert(0, sys.argv[1])
import player
os.environ.update(player.ENVIRONMENT | {"DEFAULT_VERSION_HOSTNAME": "example.com"})
from google.appengine.api import taskqueue
from google.appengine.ext import deferred

options = taskqueue.TaskRetryOptions(task_retry_limit=2, min_backoff_seconds=1.5)
made = [
    taskqueue.Task("text", url="/x?a=1", method="PUT", name="n", headers={"x-A": "1"}, retry_options=options),
    taskqueue.Task(url="/y", params={"a": [1, 2]}, target="v2.worker", countdown=60),
    taskqueue.Task(url="/z", target=taskqueue.DEFAULT_APP_VERSION, dispatch_deadline_usec=20000000),
    taskqueue.Task(b"\\xff", method="PULL", tag="t"),
    options,
    taskqueue.Queue("mail"),
    taskqueue.QueueStatistics(taskqueue.Queue("mail"), 3, oldest_eta_usec=5),
    taskqueue.TombstonedTaskError("gone"),
    deferred.SingularTaskFailure("once"),
    taskqueue.Task(url="/u").eta,
]
for protocol in ("", "1"):
    os.environ["DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL"] = protocol
    for one in made:
        pickled = [deferred.serialize(copy.copy, one), pickle.dumps(one, 0 if protocol else -1)]
        print(json.dumps([player.describe(one), *(base64.b64encode(data).decode() for data in pickled)]))
"""
LOAD = """
import gae_broker_adapters.appengine, base64, pickle, sys
for line in sys.stdin:
    print(type(pickle.loads(base64.b64decode(line))).__module__)
"""


@pytest.fixture(scope="module")
def pickles(oracle: Oracle) -> list[tuple[object, bytes, bytes]]:  # the fixture says how to have the library
    command = [PYTHON, "-W", "ignore", "-c", MAKE, Path(__file__).parent]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [(shown, base64.b64decode(call), base64.b64decode(plain)) for shown, call, plain in lines]


def test_arguments_of_deferred_calls(pickles: list[tuple[object, bytes, bytes]], monkeypatch: pytest.MonkeyPatch):
    for shown, call, _ in pickles:
        loaded = deferred.run(call)
        assert json.loads(json.dumps(player.describe(loaded))) == shown
        if isinstance(loaded, taskqueue.Task):
            again = pickle.loads(pickle.dumps(loaded))
            assert player.describe(again) == player.describe(loaded)
            assert loaded._content("q") == again._content("q")
    assert len(pickles) == 20


def test_the_default_version_is_itself_again():
    assert pickle.loads(pickle.dumps(taskqueue.DEFAULT_APP_VERSION)) is taskqueue.DEFAULT_APP_VERSION


def test_plain_pickles_by_the_old_names(pickles: list[tuple[object, bytes, bytes]]):
    """All but Tasks, whose headers are an object of another service."""
    plain = [base64.b64encode(data).decode() for shown, _, data in pickles if "Task" not in dict(shown)]
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        input="\n".join(plain),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.split()
    assert len(modules) == len(plain)
    assert {name.partition(".")[0] for name in modules} == {"gae_broker", "datetime"}
