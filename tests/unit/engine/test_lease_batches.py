"""Leases that come a batch at a time."""

from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.engine import leasing
from tests.unit.engine.doubles import Blind
from tests.unit.engine.worlds import S, World, names, pull_task


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A handful of tasks make several batches."""
    monkeypatch.setattr(leasing, "_FEWEST", 1)
    monkeypatch.setattr(leasing, "_FIRST", 2)
    monkeypatch.setattr(leasing, "_MOST", 3)
    monkeypatch.setattr(leasing, "_BATCH_BYTES", 12)


@pytest.fixture(params=["sees all", "blind"])
def place(request, world):
    return world if request.param == "sees all" else World(Blind(world.broker), world.ledger, world.clock, "b-")


def batches(place, count=100, seconds=60.0, queue="pull", **which):
    return place.runtime.leaser.lease_in_batches(queue, round(seconds * S), count, **which)


def test_all_come_in_order_in_batches_that_fit(place):
    for index in range(9):
        place.put(f"t{index}", eta_s=index / 10, tag="x" if index % 3 == 0 else None)
    place.add(*(pull_task(f"u{index}", eta_us=place.clock.us + S, payload=b"12345678") for index in range(3)))
    place.clock.advance(5)
    sizes = [names(batch) for batch in batches(place)]
    assert sizes == [["t0", "t1"], ["t2", "t3", "t4"], ["t5", "t6", "t7"], ["t8", "u0", "u1"], ["u2"]]


def test_no_more_than_were_asked_for(place):
    for index in range(9):
        place.put(f"t{index}")
    place.clock.advance(1)
    assert [len(batch) for batch in batches(place, 4)] == [2, 2]
    assert [len(batch) for batch in batches(place, 1)] == [1]
    assert [len(batch) for batch in batches(place)] == [2, 2]


def test_nothing_is_leased_before_it_is_asked_for(place):
    for index in range(6):
        place.put(f"t{index}", eta_s=index / 10)
    place.clock.advance(5)
    some = batches(place)
    assert names(next(some)) == ["t0", "t1"]
    some.close()
    assert names(place.lease()) == ["t2", "t3", "t4", "t5"]


def test_a_lease_that_ends_meanwhile_brings_no_task_twice(place):
    for index in range(5):
        place.put(f"t{index}", eta_s=index / 10)
    place.clock.advance(5)
    seen = []
    for batch in batches(place, seconds=0):
        seen += names(batch)
        place.clock.advance(1)
    assert seen == ["t0", "t1", "t2", "t3", "t4"]


def test_each_batch_has_the_whole_time(place):
    for index in range(4):
        place.put(f"t{index}")
    place.clock.advance(1)
    for batch in batches(place, seconds=10):
        assert {copy.eta_us for copy in batch} == {place.clock.us + 10 * S}
        place.clock.advance(3)


@pytest.mark.parametrize("oldest", ["x", None])
def test_by_tag_stays_with_the_first_batchs(place, oldest):
    for index in range(5):
        place.put(f"a{index}", eta_s=index / 10, tag=oldest)
        place.put(f"b{index}", eta_s=index / 10 + 0.01, tag=None if oldest else "y")
        place.put(f"c{index}", eta_s=index / 10 + 0.02, tag="z")
    place.clock.advance(5)
    assert [name for batch in batches(place, by_tag=True) for name in names(batch)] == [f"a{i}" for i in range(5)]
    assert [name for batch in batches(place, by_tag=True, tag="z") for name in names(batch)] == [
        f"c{i}" for i in range(5)
    ]


def test_tasks_leased_too_often_count_and_do_not_end_it(place):
    place.put("a0", queue="twice")
    place.clock.advance(1)
    for _ in range(2):
        assert names(place.lease(queue="twice", seconds=1)) == ["a0"]
        place.clock.advance(2)
    for index in range(3):
        place.put(f"b{index}", queue="twice")
    place.clock.advance(1)
    assert [name for batch in batches(place, 3, queue="twice") for name in names(batch)] == ["b0", "b1"]


def test_a_pause_ends_it(place):
    for index in range(4):
        place.put(f"t{index}")
    place.clock.advance(1)
    some = batches(place)
    next(some)
    place.runtime.controller.pause("pull")
    assert list(some) == []


def test_a_lists_are_the_callers(place):
    for index in range(2):
        place.put(f"t{index}")
    place.clock.advance(1)
    some = batches(place, by_tag=True)
    next(some).clear()
    assert list(some) == []


def test_it_is_for_pull_queues(place):
    with pytest.raises(errors.InvalidQueueModeError):
        next(batches(place, queue="push"))


# ------------------------------------------------------------------------------------ leases changed without proof


def test_without_an_eta_the_lease_is_whichever_there_is(world):
    for name, tag in (("a", None), ("t", "x")):
        world.put(name, tag=tag)
    world.clock.advance(1)
    world.lease()
    for name in ("a", "t"):
        assert world.runtime.leaser.modify("pull", name, None, 90 * S, None) == world.clock.us + 90 * S
    world.clock.advance(100)
    with pytest.raises(errors.TaskLeaseExpiredError):
        world.runtime.leaser.modify("pull", "a", None, 90 * S, None)


def test_where_tasks_cannot_be_looked_up_a_lease_is_not_changed_without_the_payload(world):
    blind = World(Blind(world.broker), world.ledger, world.clock, "b-")
    blind.put("a")
    blind.put("t", tag="x")
    blind.clock.advance(1)
    leased = {copy.name: copy for copy in blind.lease()}
    with pytest.raises(errors.UnsupportedError, match="knows its payload"):
        blind.runtime.leaser.modify("pull", "a", None, 90 * S, None)
    assert blind.runtime.leaser.modify("pull", "t", None, 90 * S, None) == blind.clock.us + 90 * S
    assert blind.runtime.leaser.modify("pull", "a", None, 0, leased["a"].content) == blind.clock.us
    blind.clock.advance(1)
    assert [copy.content.payload for copy in blind.lease()] == [b"p"]
