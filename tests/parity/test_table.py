"""The parity table is complete, true to the cases, and fresh."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from gae_broker import deferred, taskqueue
from gae_broker.taskqueue.rpc import RPC
from gae_broker.testing.stub import TaskQueueServiceStub
from gae_broker.testing.testbed import Testbed
from tests.parity.differences import DIFFERENCES
from tests.parity.members import ABSENT, ASKED_BY, ELSEWHERE, MEMBERS, UNCOMPARED, names
from tests.parity.oracle import PYTHON, Oracle

ROOT = Path(__file__).parents[2]
OWNERS = {
    "taskqueue": taskqueue,
    "Task": taskqueue.Task,
    "TaskRetryOptions": taskqueue.TaskRetryOptions,
    "Queue": taskqueue.Queue,
    "QueueStatistics": taskqueue.QueueStatistics,
    "UserRPC": RPC,
    "deferred": deferred,
    "Handler": deferred.Handler,
    "Testbed": Testbed,
    "TaskQueueServiceStub": TaskQueueServiceStub,
}
SURFACE = """
import json
from google.appengine.api import apiproxy_stub_map
from google.appengine.api.taskqueue import taskqueue, taskqueue_stub
from google.appengine.ext import deferred, testbed

classes = [taskqueue.Task, taskqueue.TaskRetryOptions, taskqueue.Queue, taskqueue.QueueStatistics,
           apiproxy_stub_map.UserRPC, deferred.Handler, testbed.Testbed, taskqueue_stub.TaskQueueServiceStub]
found = {kind.__name__: [name for name in vars(kind) if not name.startswith("_")] for kind in classes}
found["taskqueue"] = taskqueue.__all__
own = deferred.deferred.__name__
found["deferred"] = [name for name, value in vars(deferred.deferred).items()
                     if not name.startswith("_") and getattr(value, "__module__", None) == own]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_parity", ROOT / "docs" / "generate_parity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(generator: ModuleType):
    assert generator.PAGE.read_text("utf-8") == generator.page(), "stale: python docs/generate_parity.py"


def test_every_member_of_googles_library_is_listed(oracle: Oracle):  # the fixture says how to have the library
    done = subprocess.run([PYTHON, "-W", "ignore", "-c", SURFACE], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    assert {owner: sorted(members) for owner, members in theirs.items()} == {
        owner: sorted(members) for owner, members in MEMBERS.items()
    }


def test_what_is_not_absent_is_there():
    missing = [
        name
        for owner, members in MEMBERS.items()
        for member in members
        if (name := f"{owner}.{member}") not in ABSENT and not _has(owner, member)
    ]
    assert missing == []


def _has(owner: str, member: str) -> bool:
    # Slots of a value object and attributes that __init__ sets are looked for in an object.
    made = {"UserRPC": taskqueue.create_rpc}.get(owner, lambda: OWNERS[owner])()
    return hasattr(made, member)


def test_members_of_differences_are_members():
    named = {member for difference in DIFFERENCES for member in difference.members}
    assert named <= set(names())
    assert {*ABSENT, *ASKED_BY, *ELSEWHERE, *UNCOMPARED} <= set(names())


def test_every_member_that_is_here_is_used_by_a_case(generator: ModuleType):
    assert [name for name in UNCOMPARED if generator.count(name)] == []
    unused = [name for name in names() if name not in {*ABSENT, *ELSEWHERE, *UNCOMPARED} and not generator.count(name)]
    assert unused == []
