from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from tests.unit.engine.worlds import S, names, pull_task

MANY = 5


def test_a_lease_hands_out_the_whole_task_with_its_new_eta_and_count(world):
    world.add(pull_task("a", payload=b"\x00data"))
    world.clock.advance(1)
    (copy,) = world.lease(1, seconds=2.5)
    assert (copy.name, copy.content.payload, copy.content.tag) == ("a", b"\x00data", None)
    assert copy.eta_us == world.clock.us + 2_500_000
    assert copy.progress.tries == 1


def test_eta_must_be_before_now_and_not_equal(world):
    world.put("a")
    assert world.lease() == []
    world.clock.us += 1
    assert names(world.lease()) == ["a"]


def test_order_is_eta_then_name_over_both_kinds_of_storage(world):
    for name, eta_s, tag in [("d", 2, None), ("c", 1, "t"), ("b", 1, None), ("a", 3, "u"), ("e", 1, "t")]:
        world.put(name, eta_s=eta_s, tag=tag)
    world.clock.advance(10)
    assert names(world.lease(4)) == ["b", "c", "e", "d"]
    assert names(world.lease(4)) == ["a"]


def test_a_lease_ends_by_itself_and_the_task_then_stands_behind_older_ones(world):
    world.put("first", eta_s=0)
    world.put("second", eta_s=1)
    world.clock.advance(2)
    assert names(world.lease(1, seconds=5)) == ["first"]
    assert names(world.lease()) == ["second"]
    world.clock.advance(5)
    assert world.lease() == [], "the end of a lease is an eta: not past at that very microsecond"
    world.clock.us += 1
    world.put("third", eta_s=-1)
    (third, first) = world.lease(2)
    assert (third.name, first.name) == ("third", "first")
    assert (third.progress.tries, first.progress.tries) == (1, 2)


def test_zero_seconds_lease_is_over_at_once(world):
    world.put("a")
    world.clock.advance(1)
    assert world.lease(seconds=0)[0].eta_us == world.clock.us
    world.clock.us += 1
    assert world.lease(seconds=0)[0].progress.tries == 2


def test_max_tasks_is_kept_and_the_others_stay_available(world):
    for index in range(7):
        world.put(f"u{index}", eta_s=index)
        world.put(f"t{index}", eta_s=index + 0.5, tag="x")
    world.clock.advance(20)
    got = [names(world.lease(4)) for _ in range(4)]
    expected = [f"{kind}{index}" for index in range(7) for kind in "ut"]
    assert got == [expected[0:4], expected[4:8], expected[8:12], expected[12:]]


@pytest.mark.parametrize("tag", [None, "t"])
@pytest.mark.parametrize(("queue", "leases"), [("twice", 2), ("never", 0)])
def test_task_retry_limit_deletes_at_the_next_lease(world, queue, leases, tag):
    world.put("a", queue=queue, tag=tag)
    for number in range(leases):
        world.clock.advance(2)
        assert [copy.progress.tries for copy in world.lease(queue=queue, seconds=1)] == [number + 1]
    world.clock.advance(2)
    assert world.stored(queue) == 1
    assert world.lease(queue=queue) == []
    assert world.stored(queue) == 0
    with pytest.raises(errors.TombstonedTaskError):
        world.put_error("a", queue=queue)


@pytest.mark.parametrize("tag", [None, "t"])
def test_a_task_dropped_at_its_limit_takes_a_place_of_the_lease(world, tag):
    world.put("a", queue="twice", tag=tag)
    for _ in range(2):
        world.clock.advance(2)
        world.lease(queue="twice", seconds=1)
    world.put("b", queue="twice", eta_s=1.5, tag=tag)
    world.clock.advance(2)
    assert world.lease(1, queue="twice") == []
    assert names(world.lease(1, queue="twice")) == ["b"]


@pytest.mark.parametrize("tag", [None, "t"])
def test_with_an_age_limit_too_nothing_is_dropped(world, tag):
    world.put("a", queue="aged", tag=tag)
    for number in range(3):
        world.clock.advance(60)
        assert [copy.progress.tries for copy in world.lease(queue="aged", seconds=1)] == [number + 1]


@pytest.mark.parametrize(
    ("tasks", "tag", "expected"),
    [
        pytest.param([("a", "x"), ("b", None), ("c", "x"), ("d", "y")], "x", ["a", "c"], id="only that tag"),
        pytest.param([("a", "x")], "y", [], id="no such tag"),
        pytest.param([("a", "x")], "X", [], id="case counts"),
        pytest.param([("a", "x"), ("b", None), ("c", "x")], None, ["a", "c"], id="the oldest task's tag"),
        pytest.param([("a", "x"), ("b", None), ("c", "x")], "", ["a", "c"], id="empty is the oldest task's"),
        pytest.param([("a", None), ("b", "x"), ("c", None)], None, ["a", "c"], id="untagged if the oldest is"),
        pytest.param([("a", ""), ("b", "x"), ("c", None)], None, ["a", "c"], id="an empty tag is none"),
        pytest.param([("a", None)], None, ["a"], id="no tagged task at all"),
        pytest.param([], None, [], id="nothing at all"),
    ],
)
def test_by_tag(world, tasks, tag, expected):
    for index, (name, its_tag) in enumerate(tasks):
        world.put(name, eta_s=index, tag=its_tag)
    world.clock.advance(100)
    leased = world.lease_tag(tag)
    assert names(leased) == expected
    assert {copy.content.tag for copy in leased} <= {"x", None}


def test_untagged_by_tag_returns_all_it_may_although_tagged_ones_stand_between(world):
    world.put("u0")
    for index in range(MANY):
        world.put(f"t{index}", tag="x", eta_s=1)
    for index in range(MANY):
        world.put(f"v{index}", eta_s=2)
    world.clock.advance(10)
    assert names(world.lease_tag(None, 4)) == ["u0", "v0", "v1", "v2"]
    assert names(world.lease_tag(None, 10)) == [f"t{index}" for index in range(MANY)]


def test_the_oldest_task_of_one_eta_is_the_first_by_name(world):
    world.put("b")
    world.put("a", tag="x")
    world.clock.advance(1)
    assert names(world.lease_tag(None)) == ["a"]


def test_a_future_tagged_task_does_not_decide_the_tag(world):
    world.put("a", eta_s=5, tag="x")
    world.put("b", eta_s=0)
    world.clock.advance(1)
    assert names(world.lease_tag(None)) == ["b"]


@pytest.mark.parametrize(
    ("queue", "error"), [("default", errors.InvalidQueueModeError), ("nowhere", errors.UnknownQueueError)]
)
def test_only_pull_queues_that_exist_can_be_leased_from(world, queue, error):
    with pytest.raises(error, match=queue):
        world.lease(queue=queue)
    with pytest.raises(error, match=queue):
        world.runtime.leaser.modify(queue, "a", 0, S, pull_task("a").content)


def test_a_paused_queue_gives_nothing_and_resumes_with_everything(world):
    world.put("a")
    world.put("b", tag="x")
    world.clock.advance(1)
    world.runtime.controller.pause("pull")
    assert world.lease() == world.lease_tag("x") == world.lease_tag(None) == []
    world.runtime.controller.resume("pull")
    assert names(world.lease()) == ["a", "b"]


def test_leases_of_a_deleted_task_end_and_its_copies_leave_the_broker(world):
    world.put("a")
    world.clock.advance(1)
    world.lease(seconds=5)
    assert world.stored() == 1
    assert world.delete("a") == [True]
    assert world.stored() == 0
    world.clock.advance(10)
    assert world.lease() == []


def test_a_copy_that_a_broker_delivers_early_is_parked_until_its_eta(world):
    """A broker whose clock runs ahead of ours: the message is due, the task is not."""
    world.put("a", eta_s=100)
    (original,) = world.broker.find(Kind.PULL, "pull", ["a"])["a"]
    world.broker.discard(Kind.PULL, "pull", [original.copy_id])
    early = Message(original.copy_id, Kind.PULL, "pull", "a", 0, original.meta, original.body)
    world.broker.publish([early], 5.0)
    world.clock.advance(1)
    assert world.lease() == []
    (parked,) = world.broker.find(Kind.PULL, "pull", ["a"])["a"]
    assert parked.due_us == original.due_us
    world.clock.advance(100)
    assert [(copy.name, copy.progress.tries) for copy in world.lease()] == [("a", 1)]


def test_messages_that_cannot_be_read_are_buried_and_block_nobody(world):
    for index in range(3):
        bad = Message(f"bad{index}", Kind.PULL, "pull", f"0{index}", 0, '{"v": 99}', b"x")
        assert world.broker.publish([bad], 5.0) == [None]
    world.put("a", eta_s=-1)
    assert names(world.lease(1)) == ["a"]
    assert [message.key for message in world.broker.browse(Kind.DEAD, "pull", 9, None)] == ["00", "01", "02"]
