from __future__ import annotations

from dataclasses import replace

import pytest

from gae_broker import errors
from tests.unit.engine.doubles import Keeping
from tests.unit.engine.worlds import START_US, S, World, names, pull_task

TAGS = pytest.mark.parametrize("tag", [None, "t"])


def leased(world, tag, seconds=60.0):
    world.put("n", tag=tag)
    world.clock.advance(1)
    return world.lease(seconds=seconds)[0]


@TAGS
def test_extend_again_and_again_with_the_new_eta_only(world, tag):
    copy = leased(world, tag)
    for seconds in (600, 30, 3600):
        eta_us = world.modify(copy, seconds)
        assert eta_us == world.clock.us + seconds * S
        if eta_us != copy.eta_us:
            with pytest.raises(errors.TaskLeaseExpiredError, match="another worker"):
                world.modify(copy, 1)
        copy = replace(copy, eta_us=eta_us)
    world.clock.advance(3600)
    assert world.lease() == []
    world.clock.us += 1
    (again,) = world.lease()
    assert (again.progress.tries, again.content.payload) == (2, b"p"), "a change of the lease is no lease"
    assert world.stored() == 1


@TAGS
def test_release_makes_the_task_available_at_once(world, tag):
    copy = leased(world, tag)
    assert world.modify(copy, 0) == world.clock.us
    world.clock.us += 1
    assert [c.progress.tries for c in world.lease()] == [2]


@TAGS
def test_an_ended_lease_cannot_be_changed(world, tag):
    copy = leased(world, tag, seconds=5)
    world.clock.us = copy.eta_us + 1
    with pytest.raises(errors.TaskLeaseExpiredError, match="ended at 2023-"):
        world.modify(copy, 60)
    assert names(world.lease()) == ["n"]
    with pytest.raises(errors.TaskLeaseExpiredError, match="another worker"):
        world.modify(copy, 60)


@TAGS
def test_at_its_very_end_a_lease_can_still_be_changed(world, tag):
    copy = leased(world, tag, seconds=5)
    world.clock.us = copy.eta_us
    assert world.modify(copy, 60) == world.clock.us + 60 * S


@TAGS
@pytest.mark.parametrize("name", ["n", ""])
def test_a_task_that_was_never_leased(world, tag, name):
    (added,) = world.add(pull_task(name, eta_us=START_US + 100 * S, tag=tag, payload=b"later"))
    (shown,) = world.runtime.browser.tasks("pull", 9)
    assert world.modify(shown, 5) == START_US + 5 * S
    world.clock.advance(6)
    (copy,) = world.lease()
    assert (copy.name, copy.progress.tries, copy.content.payload) == (added.name, 1, b"later")


@pytest.mark.parametrize("off_us", [1, -1, 10**9])
@pytest.mark.parametrize("name", ["n", ""])
@TAGS
def test_a_task_that_was_never_leased_with_another_eta(world, tag, name, off_us):
    world.put(name, eta_s=5, tag=tag)
    (shown,) = world.runtime.browser.tasks("pull", 9)
    with pytest.raises(errors.TaskLeaseExpiredError):
        world.modify(replace(shown, eta_us=shown.eta_us + off_us), 60)
    assert world.runtime.browser.tasks("pull", 9) == [shown]


@TAGS
@pytest.mark.parametrize("end", ["delete", "purge"])
def test_a_task_that_is_no_more(world, tag, end):
    copy = leased(world, tag)
    if end == "delete":
        world.delete("n")
    else:
        world.runtime.remover.purge("pull")
    with pytest.raises(errors.TombstonedTaskError, match="deleted at 2023-"):
        world.modify(copy, 60)


def test_a_purged_task_of_which_no_row_tells(world):
    world.put(eta_s=60)
    (shown,) = world.runtime.browser.tasks("pull", 9)

    World(Keeping(world.broker), world.ledger, world.clock, "k-").runtime.remover.purge("pull")
    with pytest.raises(errors.TombstonedTaskError):
        world.modify(shown, 60)


def test_a_task_that_never_was(world):
    with pytest.raises(errors.UnknownTaskError, match="no task 'x' in queue 'pull'"):
        world.runtime.leaser.modify("pull", "x", world.clock.us + S, S, pull_task("x").content)


@TAGS
def test_a_paused_queue_changes_no_lease(world, tag):
    copy = leased(world, tag)
    world.runtime.controller.pause("pull")
    with pytest.raises(errors.QueuePausedError, match="'pull' is paused"):
        world.modify(copy, 60)
    world.runtime.controller.resume("pull")
    assert world.modify(copy, 60) == world.clock.us + 60 * S
