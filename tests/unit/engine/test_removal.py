from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.domain.task import Kind
from gae_broker.ports import State
from tests.unit.engine.doubles import Blind, Keeping
from tests.unit.engine.worlds import START_US, S, World, names, pull_task, push_task


@pytest.fixture
def blind(world):
    return World(Blind(world.broker), world.ledger, world.clock, "b-")


@pytest.mark.parametrize("tag", [None, "t"])
@pytest.mark.parametrize("name", ["n", ""])
@pytest.mark.parametrize("leased", [False, True])
def test_delete_tells_what_existed(world, name, tag, leased):
    name = world.put(name, tag=tag)
    world.clock.advance(1)
    if leased:
        world.lease()
    assert world.delete("unknown", name, "nothing") == [False, True, False]
    assert world.delete(name) == [False]
    assert world.stored() == 0
    world.clock.advance(1000)
    assert world.lease() == []
    if name == "n":
        with pytest.raises(errors.TombstonedTaskError):
            world.put_error(name)


def test_deleting_an_unknown_task_does_not_take_its_name(world):
    assert world.delete("n") == [False]
    assert world.put("n") == "n"


def test_deletes_need_no_lease_and_no_pause_forbids_them(world):
    world.put("n")
    world.runtime.controller.pause("pull")
    assert world.delete("n") == [True]


@pytest.mark.parametrize("name", ["n", ""])
def test_push_tasks_are_deleted_by_name(world, name):
    (added,) = world.add(push_task(name, eta_us=START_US + 50), queue="push")
    assert world.delete(added.name, queue="push") == [True]
    assert world.broker.browse(Kind.PUSH, "push", 9, None) == []
    assert world.ledger.facts("push", [added.name])[added.name].state is State.DELETED


def test_a_delete_reaches_a_message_in_a_dispatcher_s_hands(world):
    world.add(push_task(), queue="push")
    world.clock.advance(1)
    (delivery,) = world.broker.get(Kind.PUSH, "push", 1)
    assert world.delete(delivery.message.key, queue="push") == [True]
    world.broker.restore([delivery])
    assert world.broker.get(Kind.PUSH, "push", 1) == []


def test_more_names_than_one_statement_takes(world):
    added = [world.put() for _ in range(5)]
    unknown = [f"u{index}" for index in range(2500)]
    assert world.delete(*unknown, *added, *unknown) == [False] * 2500 + [True] * 5 + [False] * 2500


@pytest.mark.parametrize("method", ["delete", "purge"])
def test_an_unknown_queue(world, method):
    with pytest.raises(errors.UnknownQueueError, match="'nowhere' is not in"):
        getattr(world.runtime.remover, method)("nowhere", *([["n"]] if method == "delete" else []))


def test_where_tasks_cannot_be_looked_up_a_name_without_a_row_is_believed(blind, world):
    name = blind.put()
    assert blind.delete(name, "anything") == [True, True]
    assert blind.delete(name, "anything") == [False, False]
    world.clock.advance(1)
    assert world.lease() == []


def test_a_purged_task_without_a_row_is_not_there_to_be_deleted(world):
    name = world.put()
    (delivery,) = _in_hand(world)
    world.runtime.remover.purge("pull")
    world.broker.restore([delivery])
    assert world.delete(name) == [False]


@pytest.mark.parametrize("queue", ["pull", "push"])
def test_purge_removes_everything_and_leaves_other_queues_alone(world, queue):
    if queue == "pull":
        for index in range(6):
            world.put(f"n{index}" if index % 2 else "", tag="t" if index % 3 == 0 else None, eta_s=index * 10)
        world.clock.advance(21)
        assert len(world.lease(1)) == 1
    else:
        world.add(push_task("n1"), push_task(), push_task(eta_us=START_US + 10**9), queue=queue)
    world.put("kept", queue="twice")
    world.runtime.remover.purge(queue)
    figures = world.runtime.statistician.fetch(queue)
    assert (figures.tasks, figures.oldest_eta_us) == (0, None)
    assert world.runtime.browser.tasks(queue, 10) == []
    world.clock.advance(100_000)
    assert world.broker.get(Kind(queue), queue, 9) == []
    assert names(world.lease(queue="twice")) == ["kept"]


def test_purged_names_are_tombstoned(world):
    world.put("a")
    world.put("b", tag="t")
    world.runtime.remover.purge("pull")
    for name in "ab":
        with pytest.raises(errors.TombstonedTaskError):
            world.put_error(name)


def test_tasks_added_after_a_purge_stay_although_the_clock_stands_still(world):
    for round_ in range(3):
        world.put(f"old{round_}")
        world.put()
        world.put(tag="t")
        world.runtime.remover.purge("pull")
        expected = {world.put(f"new{round_}"), world.put(), world.put(tag="t")}
        assert {copy.name for copy in world.runtime.browser.tasks("pull", 100)} == expected


def test_a_copy_in_somebody_s_hands_during_a_purge_is_void(world):
    world.put()
    (delivery,) = _in_hand(world)
    world.runtime.remover.purge("pull")
    world.broker.restore([delivery])
    world.clock.advance(1)
    assert world.lease() == []
    assert world.stored() == 0


def test_after_a_purge_that_only_the_ledger_could_do_nothing_old_is_leased(world):
    keeping = World(Keeping(Blind(world.broker)), world.ledger, world.clock, "k-")
    for name in ("n", "", ""):
        keeping.put(name)
    world.clock.advance(1)
    keeping.lease(1, seconds=5)
    keeping.runtime.remover.purge("pull")
    new = keeping.put("new")
    world.clock.advance(100)
    assert names(keeping.lease()) == [new]


def _in_hand(world):
    world.clock.advance(1)
    return world.broker.get(Kind.PULL, "pull", 1)


def test_modify_of_a_task_that_the_broker_cannot_look_up(blind, world):
    blind.add(pull_task(payload=b"p"))
    world.clock.advance(1)
    (copy,) = blind.lease(seconds=60)
    assert blind.modify(copy, 600) == world.clock.us + 600 * S
    world.clock.advance(61)
    assert blind.lease() == [], "the parked copy of the first lease is void"
    world.clock.advance(600)
    (again,) = blind.lease()
    assert (again.name, again.progress.tries, again.content.payload) == (copy.name, 2, b"p")
