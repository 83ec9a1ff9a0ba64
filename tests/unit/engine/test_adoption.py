"""Push tasks of a queue that was switched to pull mode."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from gae_broker import errors
from gae_broker.domain.queue import Mode, Queue, QueueFile
from gae_broker.domain.task import PULL, Kind
from tests.unit.engine.doubles import Down
from tests.unit.engine.test_failures import BROKER, LEDGER
from tests.unit.engine.worlds import START_US, S, World, names, push_task

PULL_FILE = QueueFile(queues=MappingProxyType({"push": Queue("push", mode=Mode.PULL)}))


@pytest.fixture
def switched(world):
    world.add(
        push_task("named", payload=b"p"),
        push_task(payload=b"q"),
        push_task("later", eta_us=START_US + 100 * S),
        queue="push",
    )
    world.clock.advance(1)
    return World(world.broker, world.ledger, world.clock, "s-", PULL_FILE)


def test_they_are_leased_as_pull_tasks_when_they_are_due(switched):
    switched.put("pull", queue="push", eta_s=-0.5)
    first, second, third = switched.lease(queue="push")
    assert names([first, second, third]) == ["auto-0001", "named", "pull"]
    assert (second.content.method, second.content.url, second.content.payload) == (PULL, "", b"p")
    assert second.progress.tries == 1
    assert switched.lease(queue="push") == []
    switched.clock.advance(101)
    assert sorted(names(switched.lease(queue="push"))) == ["auto-0001", "later", "named", "pull"]
    assert switched.broker.depth(Kind.PUSH, "push").ready == 0


def test_deleted_and_purged_ones_are_not_taken_over(world, switched):
    assert world.delete("named", queue="push") == [True]
    assert names(switched.lease(queue="push")) == ["auto-0001"]
    switched.runtime.remover.purge("push")
    switched.clock.advance(200)
    assert switched.lease(queue="push") == []
    assert switched.broker.browse(Kind.PUSH, "push", 9, None) == []


def test_a_plain_pull_queue_asks_for_its_push_side_once(world):
    asked = []

    class Counting(Down):
        def depth(self, kind, queue):
            asked.append((kind, queue))
            return world.broker.depth(kind, queue)

    counting = World(Counting(world.broker, BROKER), world.ledger, world.clock)
    for _ in range(3):
        counting.lease()
    assert asked == [(Kind.PUSH, "pull")]


@pytest.mark.parametrize("does", [True, False])
def test_a_failure_leaves_them_for_the_next_lease(switched, does):
    down = World(switched.broker, Down(switched.ledger, LEDGER, "advance", does=does), switched.clock, "d-", PULL_FILE)
    with pytest.raises(errors.LedgerUnavailableError):
        down.lease(queue="push")
    switched.clock.advance(70)
    assert names(switched.lease(queue="push")) == ["auto-0001", "named"]
