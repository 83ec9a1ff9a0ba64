"""What the engine makes of a broker that can be looked into as little as RabbitMQ: the ledger knows what waits."""

from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.domain.attempt import Outcome
from gae_broker.domain.task import Kind
from gae_broker.engine.delivery import Deliverer
from gae_broker.ports import Report, State
from tests.unit.engine.doubles import Blind, Down
from tests.unit.engine.worlds import START_US, S, World, names, pull_task, push_task

HOUR_US = 3600 * S
DAY_S = 86_400.0
DAY_US = 86_400 * S


@pytest.fixture
def blind(world):
    return World(Blind(world.broker), world.ledger, world.clock, "b-")


def figures(world, queue="push"):
    found = world.runtime.statistician.fetch(queue)
    return found.tasks, found.oldest_eta_us


def fail_once(world):
    """Take what is due in the push queue, and let each attempt fail."""
    queue = world.runtime.catalog.get("push")
    deliverer = Deliverer(world.runtime)
    attempts = deliverer.admit(queue, world.broker.get(Kind.PUSH, "push", 100))
    ended = Outcome(500, "no", world.clock.us, world.clock.us + 1)
    assert all(settled.error is None for settled in deliverer.settle(queue, [(one, ended) for one in attempts]))


# ------------------------------------------------------------------------------------------ figures


def test_delayed_tasks_are_counted_until_they_are_ready(blind):
    blind.add(*(push_task(eta_us=START_US + seconds * S) for seconds in (0, 30, 30, 50)), queue="push")
    assert figures(blind)[0] == 4
    blind.clock.advance(30)
    assert blind.broker.depth(Kind.PUSH, "push").ready == 3
    assert figures(blind)[0] == 4
    blind.clock.advance(20)
    assert figures(blind)[0] == 4


def test_the_smallest_eta_of_what_waits(blind):
    assert figures(blind) == (0, None)
    blind.add(push_task(eta_us=START_US + 50 * S), push_task(eta_us=START_US + 31 * S), queue="push")
    assert figures(blind) == (2, START_US + 31 * S)
    blind.add(push_task("n", eta_us=START_US + 20 * S), queue="push")
    assert figures(blind) == (3, START_US + 20 * S)


@pytest.mark.parametrize("days", [0.1, 20.0])
def test_far_tasks_are_counted_together_and_leave_when_due(blind, days):
    dues = [START_US + round(days * DAY_S) * S + step * 7 * S for step in range(20)]
    blind.add(*(push_task(eta_us=due_us) for due_us in dues), queue="push")
    assert figures(blind)[0] == 20
    for step in (3, 9, 17):
        blind.clock.us = dues[step]
        delayed = figures(blind)[0] - (step + 1)
        assert abs(delayed - (19 - step)) <= 8, "a minute's worth at most"
    blind.clock.us = dues[-1] + 60 * S
    assert figures(blind)[0] == 20


def test_leased_retried_and_named_tasks_are_counted(blind):
    blind.add(push_task("n", eta_us=START_US + 99 * S), push_task(), queue="push")
    blind.clock.advance(1)
    fail_once(blind)
    assert figures(blind)[0] == 2
    assert figures(blind)[1] < START_US + 99 * S
    blind.put(tag="x")
    blind.put()
    blind.put(eta_s=100)
    blind.clock.advance(1)
    assert len(blind.lease()) == 2
    assert figures(blind, "pull")[0] == 3


def test_what_is_under_way_is_counted_by_the_dispatcher_s_report(blind):
    blind.add(push_task(), push_task(), queue="push")
    blind.clock.advance(1)
    blind.broker.get(Kind.PUSH, "push", 2)
    epoch = blind.ledger.take_ownership("push", "me")
    assert blind.ledger.report("push", epoch, Report(7, 2, 3.0, blind.clock.us))
    found = blind.runtime.statistician.fetch("push")
    assert (found.tasks, found.in_flight, found.executed_last_minute) == (2, 2, 7)


def test_a_purge_ends_the_count(blind):
    blind.add(push_task(eta_us=START_US + HOUR_US), push_task("n", eta_us=START_US + HOUR_US), queue="push")
    assert figures(blind)[0] == 2
    blind.runtime.remover.purge("push")
    assert figures(blind) == (0, None)
    blind.add(push_task(eta_us=START_US + HOUR_US), queue="push")
    assert figures(blind)[0] == 1


def test_how_old_what_is_due_is_tells_how_far_the_queue_was_read(blind):
    for _ in range(3):
        blind.put()
        blind.clock.advance(60)
    blind.lease(1)
    assert figures(blind, "pull") == (3, START_US), "the first one, and leased"
    blind.delete(*names(blind.lease(100)))
    blind.clock.advance(3600)
    blind.put()
    blind.clock.advance(60)
    assert figures(blind, "pull")[1] <= blind.clock.us - 60 * S


def test_no_add_fails_or_waits_for_the_count(world):
    down = Down(world.ledger, errors.LedgerUnavailableError("down"), "count_delayed")
    blind = World(Blind(world.broker), down, world.clock, "b-")
    (added,) = blind.add(push_task(eta_us=START_US + HOUR_US), queue="push")
    assert added.error is None
    blind.runtime.notes.flush()
    back = Blind(world.broker)
    down._methods = ()
    blind.runtime.notes.flush()
    assert figures(World(back, world.ledger, world.clock))[0] == 1


def test_a_broker_that_sees_all_costs_no_count(world):
    world.add(push_task(eta_us=START_US + HOUR_US), queue="push")
    world.runtime.notes.flush()
    assert world.ledger.waiting("push", START_US) == (0, None)


# ------------------------------------------------------------------------------------------ listing and running


def test_named_and_retried_tasks_that_wait_are_listed_and_found(blind):
    blind.add(push_task(), queue="push")
    blind.clock.advance(1)
    for _ in range(9):
        fail_once(blind)  # backs off for longer each time
        blind.clock.advance(60)
    blind.add(
        push_task("far", eta_us=blind.clock.us + HOUR_US, payload=b"p"),
        push_task("near", eta_us=blind.clock.us + 9 * S),
        push_task(eta_us=blind.clock.us + HOUR_US),
        queue="push",
    )
    fail_once(blind)
    listed = blind.runtime.browser.tasks("push", 100)
    assert names(listed) == ["b-auto-0001", "far"]
    assert listed[0].progress.tries > 1
    assert "cannot list" in blind.runtime.browser.unlisted("push")
    found = blind.runtime.browser.find("push", "far")
    assert found == listed[1]
    assert found.content.payload == b"p"


@pytest.mark.parametrize("name", ["b-auto-0001", "near", "unknown"])
def test_what_the_ledger_has_no_copy_of_is_an_error_that_says_so(blind, name):
    blind.add(push_task(eta_us=START_US + HOUR_US), push_task("near", eta_us=START_US + 9 * S), queue="push")
    for look in (blind.runtime.browser.find, blind.runtime.browser.run_now):
        with pytest.raises(errors.Error, match="cannot look tasks up, and the ledger k"):
            look("push", name)


def test_a_deleted_task_is_neither_listed_nor_found(blind):
    blind.add(push_task("n", eta_us=START_US + HOUR_US), queue="push")
    blind.delete("n", queue="push")
    assert blind.runtime.browser.tasks("push", 9) == []
    assert blind.runtime.browser.find("push", "n") is None
    with pytest.raises(errors.UnknownTaskError):
        blind.runtime.browser.run_now("push", "n")


def test_run_now_publishes_a_copy_and_voids_the_one_that_waits(blind):
    blind.add(push_task("n", eta_us=START_US + HOUR_US, payload=b"p"), queue="push")
    copy = blind.runtime.browser.run_now("push", "n")
    assert (copy.eta_us, copy.content.payload) == (START_US, b"p")
    blind.clock.advance(1)
    deliverer, queue = Deliverer(blind.runtime), blind.runtime.catalog.get("push")
    (attempt,) = deliverer.admit(queue, blind.broker.get(Kind.PUSH, "push", 9))
    assert attempt.copy.copy_id == copy.copy_id
    deliverer.settle(queue, [(attempt, Outcome(200, "", blind.clock.us, blind.clock.us))])
    blind.clock.advance(3600)
    assert deliverer.admit(queue, blind.broker.get(Kind.PUSH, "push", 9)) == []
    assert blind.ledger.facts("push", ["n"])["n"].state is State.DONE


def test_a_pull_queue_shows_what_the_ledger_holds(blind):
    blind.put("n")
    blind.put("tagged", tag="x")
    assert names(blind.runtime.browser.tasks("pull", 9)) == ["tagged"]
    assert "with a tag" in blind.runtime.browser.unlisted("pull")


def test_after_a_crash_between_publish_and_confirm_the_copy_is_kept_too(world):
    down = Down(world.ledger, errors.LedgerUnavailableError("down"), "confirm")
    blind = World(Blind(world.broker), down, world.clock, "b-")
    blind.add(push_task("n", eta_us=START_US + DAY_US), queue="push")
    down._methods = ()
    blind.clock.advance(3600)
    blind.runtime.housekeeper.run_once()
    assert names(blind.runtime.browser.tasks("push", 9)) == ["n"]


# ------------------------------------------------------------------------------------------ rows that must stay


def test_workers_that_come_once_a_day_never_meet_what_they_deleted(blind):
    """Each lease leaves a parked copy, which is in the queue by the time that anybody looks again."""
    blind.add(*(pull_task() for _ in range(3)))
    for _ in range(4):
        blind.clock.advance(1)
        blind.delete(*names(blind.lease(seconds=60)))
        for _ in range(24 * 60):
            blind.clock.advance(60)
            if blind.clock.us // S % 1200 < 60:
                blind.runtime.housekeeper.run_once()
        assert blind.lease() == []
        blind.add(pull_task())


def test_rows_go_when_their_copies_have_gone(blind):
    blind.add(*(pull_task() for _ in range(3)))
    blind.clock.advance(1)
    leased = names(blind.lease(seconds=60))
    blind.delete(*leased)
    for _ in range(80):
        blind.clock.advance(50)
        assert blind.lease() == []
        blind.runtime.housekeeper.run_once()
    assert blind.ledger.facts("pull", leased) == {}
