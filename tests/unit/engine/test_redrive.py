"""Dead letters: looked at, put back, deleted; nothing is lost, whatever ends in between."""

from __future__ import annotations

from collections import Counter

import pytest

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.queue import Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Kind, Progress
from gae_broker.domain.wire import decode
from gae_broker.engine import redrive as module
from gae_broker.engine.delivery import Deliverer
from gae_broker.engine.redrive import Selection
from gae_broker.errors import BrokerUnavailableError, TombstonedTaskError, UnknownQueueError
from gae_broker.ports import State
from tests.unit.engine.doubles import Blind, Refusing
from tests.unit.engine.lifeline import Process
from tests.unit.engine.worlds import S, World, adapters, push_task

ONCE = Queue("push", retry=RetryParameters(limit=0))
TWICE = Queue("push", retry=RetryParameters(limit=1, max_backoff_s=0.0, min_backoff_s=0.0))
EVERY = Selection()
STEPS = 40


def attempt(world, status=500, reason="", queue=ONCE):
    """Run everything that is due once; the names."""
    deliverer = Deliverer(world.runtime)
    attempts = deliverer.admit(queue, world.broker.get(Kind.PUSH, "push", 1000))
    outcome = Outcome(status, reason, world.clock.us, world.clock.us + 10)
    assert all(settled.error is None for settled in deliverer.settle(queue, [(one, outcome) for one in attempts]))
    return [one.copy.name for one in attempts]


def die(world, *names, status=500, reason="", queue=ONCE):
    """Add tasks and let them be given up; their names."""
    added = world.add(*(push_task(name, payload=b"body", url=f"/{name}") for name in names), queue="push")
    assert {one.error for one in added} == {None}
    attempt(world, status, reason, queue)
    while queued(world):
        world.clock.advance(1)
        attempt(world, status, reason, queue)
    return [one.name for one in added]


def dead(world):
    return sorted(message.key for message in world.broker.browse(Kind.DEAD, "push", 1000, None))


def queued(world):
    return [decode(message) for message in world.broker.browse(Kind.PUSH, "push", 1000, None)]


def redrive(world, selection=EVERY, **options):
    return world.runtime.redriver.redrive("push", selection, **options)


def test_a_named_and_an_unnamed_task_run_again_as_if_never_tried(world):
    names = die(world, "a", "", queue=TWICE)
    world.clock.advance(5)
    report = redrive(world)
    assert (report.done, sorted(report.names), report.kept) == (2, sorted(names), {})
    assert dead(world) == []
    assert len(queued(world)) == 2
    for copy in queued(world):
        assert (copy.progress, copy.eta_us, copy.content.payload) == (Progress(), world.clock.us, b"body")
    assert sorted(attempt(world, 200)) == sorted(names)
    assert queued(world) == []
    with pytest.raises(TombstonedTaskError):
        raise world.add(push_task("a"), queue="push")[0].error


def test_a_task_that_dies_again_is_dead_once_and_left_for_another_run(world):
    die(world, "a", "b")
    report = redrive(world)
    assert (report.looked, report.done) == (2, 2)
    attempt(world)
    assert dead(world) == ["a", "b"]
    assert redrive(world).done == 2


def test_a_dry_run_tells_and_leaves_everything_as_it_was(world):
    die(world, "a", "b")
    before = world.broker.browse(Kind.DEAD, "push", 10, None)
    assert sorted(redrive(world, dry_run=True).names) == ["a", "b"]
    assert world.broker.browse(Kind.DEAD, "push", 10, None) == before
    assert world.broker.depth(Kind.DEAD, "push").ready == 2
    assert queued(world) == []


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(names=frozenset({"a", "c"})), ["a", "c"]),
        (Selection(reason="TIME"), ["b"]),
        (Selection(status=410), ["c"]),
        (Selection(before_us=1_700_000_000 * S + 15 * S), ["a", "b"]),
        (Selection(names=frozenset({"a"}), status=410), []),
    ],
)
def test_only_what_is_meant_is_put_back(world, selection, meant):
    die(world, "a")
    world.clock.advance(10)
    die(world, "b", reason="timed out")
    world.clock.advance(10)
    die(world, "c", status=410)
    assert redrive(world, selection).done == len(meant)
    assert sorted(copy.name for copy in queued(world)) == meant
    assert dead(world) == sorted({"a", "b", "c"} - set(meant))
    assert world.broker.depth(Kind.DEAD, "push").unacked == 0


def test_names_that_are_not_dead_are_told(world):
    die(world, "a")
    assert redrive(world, Selection(names=frozenset({"a", "x"}))).missing == {"x"}


def test_a_task_whose_name_is_in_the_queue_again_stays_dead(world):
    die(world, "a")
    world.ledger.free("push", ["a"])
    assert world.add(push_task("a"), queue="push")[0].error is None
    report = redrive(world)
    assert (report.done, report.kept.total()) == (0, 1)
    assert "'a'" in next(iter(report.kept))
    assert dead(world) == ["a"]
    assert len(queued(world)) == 1


def test_a_task_deleted_since_runs_again_only_by_name(world):
    die(world, "a")
    world.ledger.free("push", ["a"])
    world.add(push_task("a"), queue="push")
    world.delete("a", queue="push")
    assert redrive(world).done == 0
    assert redrive(world, Selection(names=frozenset({"a"}))).done == 1
    assert attempt(world, 200) == ["a"]


def test_a_purge_before_the_redrive_does_not_swallow_the_task(world):
    die(world, "a")
    world.clock.advance(1)
    world.runtime.remover.purge("push")
    assert redrive(world).done == 1
    assert attempt(world, 200) == ["a"]


def test_a_copy_that_the_broker_gave_up_is_succeeded(world):
    """Its row still awaits it: a policy's doing, or a message that this release could not read then."""
    world.add(push_task("a"), queue="push")
    (delivery,) = world.broker.get(Kind.PUSH, "push", 1)
    lost = module.replace(delivery.message, kind=Kind.DEAD)
    assert world.broker.publish([lost], 5.0) == [None]
    world.broker.ack([delivery])
    assert redrive(world).done == 1
    assert attempt(world, 200) == ["a"]
    assert world.ledger.facts("push", ["a"])["a"].state is State.DONE


def test_what_cannot_be_read_stays_and_is_told(world):
    world.add(push_task("a"), queue="push")
    (delivery,) = world.broker.get(Kind.PUSH, "push", 1)
    world.broker.publish([module.replace(delivery.message, kind=Kind.DEAD, meta="{}")], 5.0)
    report = redrive(world)
    assert (report.done, report.kept.total()) == (0, 1)
    (found,) = world.runtime.redriver.dead("push", EVERY, 10)
    assert found.copy is None
    assert "cannot be read" in found.error


def test_nothing_goes_that_could_not_be_put_back(clock):
    with adapters(clock) as (broker, ledger):
        names = die(World(broker, ledger, clock), "a", "")
        refusing = Refusing(broker, BrokerUnavailableError("down"))
        world = World(refusing, ledger, clock, "r-")
        report = redrive(world)
        assert (report.done, report.kept) == (0, {"down": 2})
        assert dead(world) == sorted(names)
        world.clock.advance(60)
        well = World(broker, ledger, clock, "w-")
        well.runtime.housekeeper.run_once()
        redrive(well)
        assert set(attempt(well, 200)) == set(names)


def test_an_unknown_queue(world):
    with pytest.raises(UnknownQueueError):
        world.runtime.redriver.redrive("nowhere", EVERY)


def test_deleting_removes_what_is_meant_only(world):
    die(world, "a", "b")
    assert world.runtime.redriver.delete("push", Selection(names=frozenset({"a"}))).done == 1
    assert dead(world) == ["b"]
    assert queued(world) == []


def test_a_broker_that_cannot_look_is_paged_through_and_ends(clock, monkeypatch):
    """Many more than a page, most of them left alone: each is looked at once, and all go back."""
    monkeypatch.setattr(module, "_PAGE", 7)
    with adapters(clock) as (broker, ledger):
        world = World(Blind(broker), ledger, clock, "b-")
        die(World(broker, ledger, clock), *(f"t{number:03}" for number in range(60)))
        report = redrive(world, Selection(names=frozenset({"t055", "t003"})))
        assert (report.looked, report.done) == (60, 2)
        assert broker.depth(Kind.DEAD, "push").ready == 58
        assert sorted(attempt(world, 200)) == ["t003", "t055"]


def test_a_run_that_leaves_too_many_alone_ends_early_and_says_so(world, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 10)
    monkeypatch.setattr(module, "MOST_HELD", 20)
    die(world, *(f"t{number:03}" for number in range(50)))
    report = redrive(world, Selection(status=410))
    assert (report.cut, report.looked) == (True, 20)
    assert world.broker.depth(Kind.DEAD, "push").ready == 50


def test_the_list_tells_why_and_when_and_takes_nothing(world):
    die(world, "a", "b", status=503, reason="later")
    world.clock.advance(60)
    found = world.runtime.redriver.dead("push", EVERY, 1)
    assert [one.copy.progress.last_status for one in found] == [503]
    assert found[0].died_us == world.clock.us - 60 * S + 10
    assert world.broker.depth(Kind.DEAD, "push").ready == 2


@pytest.mark.parametrize("queue", [ONCE, TWICE])
def test_a_crash_at_any_step_loses_nothing_and_a_second_run_doubles_nothing(clock, queue):
    """The task is in its queue or dead or both after the crash; the next run and housekeeping make one of it."""
    for at in range(STEPS):
        with adapters(clock) as (broker, ledger):
            survivor = World(broker, ledger, clock, "s-")
            names = die(survivor, "a", "", "b", queue=queue)
            process = Process(broker, ledger, clock, "p-")
            crashed = process.run_until(at, lambda world: world.runtime.redriver.redrive("push", EVERY))
            label = process.life.trace[-1] if crashed else "end"
            clock.advance(60)
            survivor.runtime.housekeeper.run_once()
            redrive(survivor)
            clock.advance(60)
            ran: Counter[str] = Counter()
            while done := attempt(survivor, 200):
                ran.update(done)
            assert ran == Counter(names), label
            redrive(survivor)
            assert dead(survivor) == [], label
            assert attempt(survivor, 200) == [], label
        if not crashed:
            assert at > 5
            return
    raise AssertionError("more steps than the test looks at")
