from __future__ import annotations

import pytest

from gae_broker.engine import runtime
from tests.unit.engine.worlds import StillClock, World, adapters

VARIABLES = ("HTTP_HOST", "DEFAULT_VERSION_HOSTNAME", "SERVER_SOFTWARE")


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def world(clock):
    """A runtime in memory with the queues default, push, pull and twice; the process's while the test runs."""
    with adapters(clock) as (broker, ledger):
        world = World(broker, ledger, clock)
        with runtime.using(world.runtime), world.runtime:  # closing it waits for calls that no test waited for
            yield world


@pytest.fixture(autouse=True)
def no_hostnames(monkeypatch):
    """What App Engine's environment says is each test's own matter."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
