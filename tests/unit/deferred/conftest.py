from __future__ import annotations

import pytest

from gae_broker.engine import runtime
from tests.unit.engine.worlds import StillClock, World, adapters


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def world(clock):
    with adapters(clock) as (broker, ledger):
        world = World(broker, ledger, clock)
        with runtime.using(world.runtime), world.runtime:  # closing it waits for calls that no test waited for
            yield world
