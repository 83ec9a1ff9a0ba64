"""App Engine's own `deferred` makes the calls that ours signed, and ours makes App Engine's where that is allowed."""

from __future__ import annotations

import math
import subprocess

import pytest

from gae_broker import deferred
from gae_broker.engine import runtime
from tests.parity.oracle import PYTHON

KEYS = "new:0123456789abcdef0123456789abcdef"
RUN = "import sys; from google.appengine.ext import deferred; print(deferred.run(sys.stdin.buffer.read()))"
SERIALIZE = (
    "import math, sys; from google.appengine.ext import deferred; "
    "sys.stdout.buffer.write(deferred.serialize(math.hypot, 3, 4))"
)


def ask(program: str, data: bytes = b"") -> bytes:
    done = subprocess.run([PYTHON, "-W", "ignore", "-c", program], input=data, capture_output=True, check=True)
    return done.stdout


@pytest.fixture(autouse=True)
def _without_a_runtime(monkeypatch):
    runtime.use(None)
    monkeypatch.setenv("GAE_BROKER_SIGNING_KEYS", KEYS)
    yield
    runtime.use(None)


@pytest.mark.parametrize("cross_compatible", ["", "1"])
def test_app_engine_makes_a_signed_call(oracle, monkeypatch, cross_compatible):
    monkeypatch.setenv("DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL", cross_compatible)
    sealed = deferred.serialize(math.hypot, 3, 4)
    assert b"#gae-broker v1 key=new" in sealed
    assert ask(RUN, sealed) == b"5.0\n"


def test_app_engines_own_calls_are_unsigned_and_made_where_that_is_allowed(oracle, monkeypatch):
    theirs = ask(SERIALIZE)
    with pytest.raises(deferred.PermanentTaskFailure, match="not signed"):
        deferred.run(theirs)
    runtime.use(None)
    monkeypatch.setenv("GAE_BROKER_DEFERRED_UNSIGNED", "accept")
    assert deferred.run(theirs) == 5.0
