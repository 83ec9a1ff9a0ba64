"""Every use case is ended before and after each of its calls: nothing is lost, nothing is leased twice."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from gae_broker import errors
from tests.unit.engine.lifeline import Process
from tests.unit.engine.worlds import World, adapters, names, pull_task

STEPS = 40
"""More than any operation has; the loops end at its last step."""


def each_crash(clock, operation, prepare=lambda _: None):
    """(label, the surviving process's world) for a crash at each step of the operation."""
    for at in range(STEPS):
        with adapters(clock) as (broker, ledger):
            survivor = World(broker, ledger, clock, "s-")
            prepared = prepare(survivor)
            process = Process(broker, ledger, clock, "p-")
            crashed = process.run_until(at, lambda world, prepared=prepared: operation(world, prepared))
            label = process.life.trace[-1] if crashed else "end"
            yield label, survivor, prepared
        if not crashed:
            assert at > 1, "the operation made no call at all"
            return
    raise AssertionError("the operation has more steps than the test looks at")


def fill(world):
    """Three untagged tasks, two tagged ones, one named of each."""
    world.put("named")
    world.put("tagged", tag="x")
    filled = {"named", "tagged", world.put(), world.put(), world.put(tag="y")}
    world.clock.advance(1)
    return filled


def drain(world):
    """Every task there is, once all leases are over, as often as a lease returns it."""
    world.clock.advance(100_000)
    return Counter(names(world.lease(100)))


def settle(world):
    """Let housekeeping finish what the crash left."""
    world.clock.advance(3600)
    world.runtime.housekeeper.run_once()


def test_a_crash_in_lease_tasks(clock):
    def check(world, filled):
        at_once = names(world.lease(100))
        assert len(set(at_once)) == len(at_once)
        assert set(at_once) <= filled
        assert world.lease(100) == []
        assert drain(world) == dict.fromkeys(filled, 1)

    for label, world, filled in each_crash(clock, lambda w, _: w.lease(100), fill):
        with_context(label, check, world, filled)


@pytest.mark.parametrize("tag", [None, "x"])
def test_a_crash_in_lease_tasks_by_tag(clock, tag):
    for label, world, filled in each_crash(clock, lambda w, _: w.lease_tag(tag), fill):
        with_context(label, lambda w, f: expect(drain(w), dict.fromkeys(f, 1)), world, filled)


@pytest.mark.parametrize("seconds", [0.0, 5.0, 600.0])
@pytest.mark.parametrize("which", [0, 1])
def test_a_crash_in_modify_task_lease(clock, seconds, which):
    def prepare(world):
        fill(world)
        leased = world.lease(100, seconds=60)
        return leased, sorted((copy for copy in leased), key=lambda copy: copy.content.tag or "")[-which]

    def check(world, prepared):
        leased, changed = prepared
        others = set(names(leased)) - {changed.name}
        assert set(names(world.lease(100))) <= {changed.name}, "nobody else's lease ended"
        world.clock.advance(61)
        assert others <= set(names(world.lease(100, seconds=1000)))
        assert drain(world) == dict.fromkeys(names(leased), 1)

    for label, world, prepared in each_crash(clock, lambda w, p: w.modify(p[1], seconds), prepare):
        with_context(label, check, world, prepared)


def test_a_crash_in_delete_tasks(clock):
    def check(world, filled):
        remaining = filled - {"named"}
        answers = world.delete("named")
        assert answers in ([True], [False])
        assert drain(world) == dict.fromkeys(remaining, 1)
        with pytest.raises(errors.TombstonedTaskError):
            world.put_error("named")

    for label, world, filled in each_crash(clock, lambda w, _: w.delete("named"), fill):
        with_context(label, check, world, filled)


def test_a_crash_in_delete_never_brings_a_deleted_task_back(clock):
    for label, world, filled in each_crash(clock, lambda w, f: w.delete(*sorted(f)), fill):
        deleted = {name for name in filled if world.delete(name) == [False]}
        assert set(drain(world)) & deleted == set(), label


def test_a_crash_in_purge_loses_no_name_and_a_second_purge_ends_it(clock):
    def check(world, filled):
        world.runtime.remover.purge("pull")
        assert drain(world) == {}
        for name in filled:
            with pytest.raises(errors.TombstonedTaskError):
                world.put_error(name)
        world.put("new")
        assert drain(world) == {"new": 1}

    for label, world, _ in each_crash(clock, lambda w, _: w.runtime.remover.purge("pull"), fill):
        # Auto-named tasks that were never leased have no row that could keep their names taken.
        with_context(label, check, world, {"named", "tagged"})


@pytest.mark.parametrize("tag", [None, "x"])
def test_a_crash_in_a_named_add_burns_no_name_and_loses_no_task(clock, tag):
    def check(world, _):
        settle(world)
        (again,) = world.add(pull_task("n", tag=tag))
        assert again.error is None or isinstance(again.error, errors.TaskAlreadyExistsError)
        world.runtime.housekeeper.run_once()
        assert drain(world) == {"n": 1}
        assert drain(world) == {"n": 1}
        assert world.delete("n") == [True]
        assert drain(world) == {}

    for label, world, prepared in each_crash(clock, lambda w, _: w.put("n", tag=tag)):
        with_context(label, check, world, prepared)


def test_while_a_crashed_add_s_claim_is_young_the_name_is_pending(clock):
    seen = set()
    for _label, world, _ in each_crash(clock, lambda w, _: w.put("n")):
        (again,) = world.add(pull_task("n"))
        seen.add(type(again.error))
    assert seen == {type(None), errors.ClaimPendingError, errors.TaskAlreadyExistsError}


def test_a_crash_of_the_housekeeper_itself(clock):
    def prepare(world):
        process = Process(world.broker, world.ledger, world.clock, "q-")
        for at in itertools.count():
            process.run_until(at, lambda w: w.put("n"))
            if process.life.trace[-1] == "after ledger.claim":
                break
            process = Process(world.broker, world.ledger, world.clock, f"q{at}-")
        world.clock.advance(3600)

    def check(world, _):
        world.runtime.housekeeper.run_once()
        assert drain(world) == {"n": 1}
        with pytest.raises(errors.TaskAlreadyExistsError):
            world.put_error("n")

    for label, world, prepared in each_crash(clock, lambda w, _: w.runtime.housekeeper.run_once(), prepare):
        with_context(label, check, world, prepared)


def test_a_crash_while_dropping_tasks_at_their_limit(clock):
    def prepare(world):
        for tag in (None, "x"):
            world.put("limited" + (tag or ""), queue="twice", tag=tag)
        for _ in range(2):
            world.clock.advance(100)
            world.lease(queue="twice")
        world.clock.advance(100)

    for label, world, _ in each_crash(clock, lambda w, _: w.lease(queue="twice"), prepare):
        world.clock.advance(100)
        assert world.lease(queue="twice") == [], label
        assert world.lease(queue="twice") == [], label
        assert world.stored("twice") == 0, label


def with_context(label, check, *args):
    try:
        check(*args)
    except BaseException as exc:
        exc.add_note(f"after a crash at: {label}")
        raise


def expect(found, expected):
    assert found == expected
