"""Two processes: one use case runs from start to end before and after each call that another one makes."""

from __future__ import annotations

from collections import Counter

import pytest

from gae_broker import errors
from tests.unit.engine.lifeline import Process
from tests.unit.engine.worlds import World, adapters, names, pull_task

STEPS = 40


def outcome(operation, world):
    """An operation's answer, or the error that it raised."""
    try:
        return operation(world)
    except errors.Error as exc:
        return type(exc)


def each_meeting(clock, first, second, prepare):
    """Yields (label, world, prepared, first's answer, second's) for each step at which the second comes in."""
    for at in range(STEPS):
        with adapters(clock) as (broker, ledger):
            other = World(broker, ledger, clock, "o-")
            prepared = prepare(other)
            process = Process(broker, ledger, clock, "p-")
            answers = []

            def interrupt(other=other, answers=answers, process=process, prepared=prepared):
                answers.append((process.life.trace[-1], outcome(lambda w: second(w, prepared), other)))

            mine = process.run_interrupted(
                at, lambda w, prepared=prepared: outcome(lambda v: first(v, prepared), w), interrupt
            )
            if not answers:
                assert at > 1, "the operation made no call at all"
                return
            yield answers[0][0], other, prepared, mine, answers[0][1]
    raise AssertionError("the operation has more steps than the test looks at")


def fill(world):
    filled = [world.put("named"), world.put("tagged", tag="x"), world.put(), world.put(), world.put(tag="y")]
    world.clock.advance(1)
    return filled


def leased(world):
    fill(world)
    return world.lease(100, seconds=60)


def drain(world):
    world.clock.advance(100_000)
    return Counter(names(world.lease(100)))


@pytest.mark.parametrize("by_tag", [False, True])
def test_two_leases_never_get_the_same_task(clock, by_tag):
    def lease_two(world, _):
        return world.lease_tag(None, 2) if by_tag else world.lease(2)

    for label, world, filled, mine, theirs in each_meeting(clock, lease_two, lambda w, _: w.lease(3), fill):
        assert set(names(mine)) & set(names(theirs)) == set(), label
        assert len(set(names(mine))) == len(mine), label
        rest = names(world.lease(100))
        assert sorted(names(mine) + names(theirs) + rest) == sorted(filled), label
        assert drain(world) == dict.fromkeys(filled, 1), label


@pytest.mark.parametrize("name", ["named", "tagged", "o-auto-0001"])
def test_a_task_whose_delete_returned_is_leased_by_nobody_later(clock, name):
    for label, world, filled, mine, theirs in each_meeting(
        clock, lambda w, _: w.lease(100), lambda w, _: w.delete(name), fill
    ):
        assert theirs == [True], label
        assert set(filled) - {name} <= set(names(mine)), label
        assert drain(world) == dict.fromkeys(set(filled) - {name}, 1), label


@pytest.mark.parametrize("name", ["named", "tagged", "o-auto-0001"])
def test_a_lease_while_the_task_is_being_deleted(clock, name):
    for label, world, filled, mine, _theirs in each_meeting(
        clock, lambda w, _: w.delete(name), lambda w, _: w.lease(100), fill
    ):
        assert mine == [True], label
        assert drain(world) == dict.fromkeys(set(filled) - {name}, 1), label
        assert world.stored() == len(filled) - 1, label


@pytest.mark.parametrize("name", ["named", "tagged", "o-auto-0001"])
def test_two_deletes_one_of_which_was_it(clock, name):
    for label, world, _filled, mine, theirs in each_meeting(
        clock, lambda w, _: w.delete(name), lambda w, _: w.delete(name), fill
    ):
        assert mine + theirs in ([True, False], [False, True]), label
        assert name not in drain(world), label


@pytest.mark.parametrize("index", range(5))
def test_of_two_changes_of_a_lease_one_takes_place(clock, index):
    for label, world, copies, mine, theirs in each_meeting(
        clock, lambda w, c: w.modify(c[index], 600), lambda w, c: w.modify(c[index], 300), leased
    ):
        assert errors.TaskLeaseExpiredError in (mine, theirs), label
        held = {copy.name: copy.eta_us for copy in world.runtime.browser.tasks("pull", 100)}
        assert held[copies[index].name] in (mine, theirs), label
        world.clock.advance(100)
        assert len(world.lease(100)) == len(copies) - 1, label
        assert drain(world) == dict.fromkeys(names(copies), 1), label


@pytest.mark.parametrize("index", range(5))
def test_a_lease_is_changed_while_another_process_leases(clock, index):
    for label, world, copies, mine, theirs in each_meeting(
        clock, lambda w, c: w.modify(c[index], 600), lambda w, _: w.lease(100), leased
    ):
        assert theirs == [], label
        assert mine == world.clock.us + 600_000_000, label
        assert drain(world) == dict.fromkeys(names(copies), 1), label


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("seconds", [0, 600])
def test_a_lease_is_changed_while_the_task_is_deleted(clock, index, seconds):
    for label, world, copies, mine, theirs in each_meeting(
        clock, lambda w, c: w.modify(c[index], seconds), lambda w, c: w.delete(c[index].name), leased
    ):
        assert theirs == [True], label
        assert mine in (errors.TombstonedTaskError, errors.UnknownTaskError, world.clock.us + seconds * 1_000_000), (
            label
        )
        others = {copy.name for copy in copies if copy is not copies[index]}
        assert drain(world) == dict.fromkeys(others, 1), label


@pytest.mark.parametrize("tag", [None, "x"])
def test_of_two_adds_of_a_name_one_takes_place(clock, tag):
    def add(world, _):
        return world.add(pull_task("n", tag=tag))[0].error

    for label, world, _, mine, theirs in each_meeting(clock, add, add, lambda _: None):
        kinds = {type(error) for error in (mine, theirs)}
        assert type(None) in kinds, label
        assert kinds & {errors.TaskAlreadyExistsError, errors.ClaimPendingError}, label
        assert drain(world) == {"n": 1}, label


@pytest.mark.parametrize(
    "second", [lambda w, _: w.lease(100), lambda w, _: w.put("new"), lambda w, _: w.delete("named")]
)
def test_during_a_purge(clock, second):
    for label, world, filled, mine, _theirs in each_meeting(
        clock, lambda w, _: w.runtime.remover.purge("pull"), second, fill
    ):
        assert mine is None, label
        assert not set(drain(world)) & set(filled), label
        (again,) = world.add(pull_task("new", eta_us=0))
        # Added while the purge ran, it may be gone; but then its name is a deleted task's, not a phantom's.
        if isinstance(again.error, errors.TombstonedTaskError):
            assert drain(world) == {}, label
        else:
            assert "new" in drain(world), label


def test_a_purge_during_a_lease(clock):
    for label, world, _filled, _mine, theirs in each_meeting(
        clock, lambda w, _: w.lease(100), lambda w, _: w.runtime.remover.purge("pull"), fill
    ):
        assert theirs is None, label
        assert drain(world) == {}, label


def test_a_purge_during_an_add_of_a_name(clock):
    for label, world, _, mine, _theirs in each_meeting(
        clock,
        lambda w, _: w.add(pull_task("n"))[0].error,
        lambda w, _: w.runtime.remover.purge("pull"),
        lambda _: None,
    ):
        assert mine is None, label
        there = drain(world)
        (again,) = world.add(pull_task("n"))
        if isinstance(again.error, errors.TombstonedTaskError):
            assert there == {}, label
        else:
            assert there == {"n": 1}, label


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_lease_that_ends_before_it_is_recorded(clock, seconds):
    """The copy that takes the leased one's place may be due, and leased again, before the ledger knows of it."""

    def late(world, _):
        world.clock.advance(seconds + 1)
        return names(world.lease(100, seconds=seconds))

    def prepare(world):
        filled = fill(world)
        world.lease(100, seconds=0)  # from now on every task has a row
        world.clock.advance(1)
        return filled

    for label, world, filled, _mine, _theirs in each_meeting(
        clock, lambda w, _: names(w.lease(100, seconds=seconds)), late, prepare
    ):
        assert drain(world) == Counter(filled), label


def test_a_lease_that_is_given_up_and_taken_before_that_is_recorded(clock):
    def give_up(world, tasks):
        for task in tasks[:2]:  # the tagged one, which the ledger holds, is not among them
            world.modify(task, 0)

    def take(world, _):
        world.clock.advance(1)
        return names(world.lease(100, seconds=0))

    for label, world, filled, _mine, _theirs in each_meeting(clock, give_up, take, leased):
        assert drain(world) == Counter(names(filled)), label
