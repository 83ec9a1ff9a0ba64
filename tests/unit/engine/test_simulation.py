"""The protocol under interleaved processes, crashes anywhere, lost confirms and doubled copies; by seeds."""

from __future__ import annotations

import pytest

from gae_broker.domain import wire
from gae_broker.engine import succession
from gae_broker.engine.succession import Mover, Step
from tests.unit.engine.simulation import ViolationError, run


@pytest.mark.parametrize("seed", range(25))
def test_every_promise_is_kept(seed):
    run(seed)


def swap_first(self, queue, successions):
    """The order that design forbids: the row points at a copy that is not stored yet."""
    messages = [wire.encode(step.new) for step in successions]
    moves = [succession._move(step, None) for step in successions]
    swapped = self._facts.advance(queue, moves, self._clock.now_us()) if moves else []
    results = self._carrier.publish(messages, self._deadline_s) if messages else []
    steps = [
        Step.LOST if not moved else Step.UNSTORED if error else Step.MOVED
        for moved, error in zip(swapped, results, strict=True)
    ]
    return steps, next((error for error in results if error is not None), None)


def test_another_order_breaks_them(monkeypatch):
    """Or the test above could not fail."""
    monkeypatch.setattr(Mover, "move", swap_first)

    def try_some():
        for seed in range(200):
            run(seed)

    with pytest.raises(ViolationError, match="is lost"):
        try_some()
