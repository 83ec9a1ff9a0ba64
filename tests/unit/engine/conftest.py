from __future__ import annotations

import pytest

from tests.unit.engine.worlds import StillClock, World, adapters


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def world(clock):
    with adapters(clock) as (broker, ledger):
        yield World(broker, ledger, clock)
