from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.engine import browsing
from gae_broker.ports import Report
from tests.unit.engine.doubles import Hoarding
from tests.unit.engine.worlds import START_US, S, World, names, push_task


def show(world, limit=100, after=None, queue="pull"):
    return [(copy.name, copy.eta_us) for copy in world.runtime.browser.tasks(queue, limit, after)]


def test_both_kinds_of_storage_are_listed_as_one(world):
    for name, eta_s, tag in [("d", 2, None), ("c", 1, "t"), ("b", 1, None), ("a", 3, "u")]:
        world.put(name, eta_s=eta_s, tag=tag)
    at = {name: START_US + eta_s * S for name, eta_s in [("a", 3), ("b", 1), ("c", 1), ("d", 2)]}
    assert show(world) == [(name, at[name]) for name in "bcda"]
    assert show(world, 2) == [(name, at[name]) for name in "bc"]
    assert show(world, 2, (at["c"], "c")) == [(name, at[name]) for name in "da"]


@pytest.mark.parametrize("tag", [None, "t"])
def test_leased_tasks_show_their_lease(world, tag):
    world.put("n", tag=tag)
    world.clock.advance(1)
    world.lease(seconds=60)
    (copy,) = world.runtime.browser.tasks("pull", 9)
    assert (copy.eta_us, copy.progress.tries, copy.content.tag) == (world.clock.us + 60 * S, 1, tag)


def test_pages_of_void_copies_hide_nothing(world, monkeypatch):
    monkeypatch.setattr(browsing, "_PAGE", 3)

    hoard = World(Hoarding(world.broker), world.ledger, world.clock, "h-")
    for index in range(10):
        hoard.put(f"n{index}", eta_s=index)
    hoard.delete(*[f"n{index}" for index in range(8)])
    assert [name for name, _ in show(hoard)] == ["n8", "n9"]


def test_messages_that_cannot_be_read_are_left_out(world, caplog):
    world.broker.publish([Message("bad", Kind.PULL, "pull", "bad", 0, "{}", b"")], 5.0)
    world.put("n")
    assert [name for name, _ in show(world)] == ["n"]
    assert "'bad'" in caplog.text


@pytest.mark.parametrize("tag", [None, "t"])
def test_find(world, tag):
    for name in ("m", "n", "o"):
        world.put(name, tag=tag)
    found = world.runtime.browser.find("pull", "n")
    assert found is not None
    assert (found.name, found.content.tag) == ("n", tag)
    assert world.runtime.browser.find("pull", "x") is None
    world.delete("n")
    assert world.runtime.browser.find("pull", "n") is None


def test_find_of_a_purged_task_in_somebody_s_hands(world):
    world.put()
    world.clock.advance(1)
    (delivery,) = world.broker.get(Kind.PULL, "pull", 1)
    world.runtime.remover.purge("pull")
    assert world.runtime.browser.find("pull", delivery.message.key) is None


def test_run_now_makes_a_delayed_task_due_and_leaves_one_copy(world):
    world.add(push_task("n", eta_us=START_US + 1000 * S, payload=b"p"), queue="push")
    copy = world.runtime.browser.run_now("push", "n")
    assert (copy.eta_us, copy.content.payload) == (world.clock.us, b"p")
    world.clock.advance(1)
    (delivery,) = world.broker.get(Kind.PUSH, "push", 9)
    assert delivery.message.copy_id == world.ledger.facts("push", ["n"])["n"].live_copy == copy.copy_id
    assert world.stored("push") == 1


def test_run_now_leaves_a_task_that_is_due_alone(world):
    world.add(push_task("n"), queue="push")
    before = world.broker.browse(Kind.PUSH, "push", 9, None)
    world.runtime.browser.run_now("push", "n")
    assert world.broker.browse(Kind.PUSH, "push", 9, None) == before


@pytest.mark.parametrize(
    ("queue", "error"),
    [
        ("push", errors.UnknownTaskError),
        ("pull", errors.InvalidQueueModeError),
        ("nowhere", errors.UnknownQueueError),
    ],
)
def test_run_now_refuses(world, queue, error):
    with pytest.raises(error):
        world.runtime.browser.run_now(queue, "n")


def test_figures_of_a_pull_queue_count_everything(world):
    fetch = world.runtime.statistician.fetch
    assert (fetch("pull").tasks, fetch("pull").oldest_eta_us) == (0, None)
    world.put(eta_s=500)
    world.put(eta_s=300, tag="t")
    assert (fetch("pull").tasks, fetch("pull").oldest_eta_us) == (2, START_US + 300 * S)
    world.put("n", eta_s=-1)
    world.clock.advance(1)
    assert names(world.lease(seconds=400)) == ["n"]
    assert (fetch("pull").tasks, fetch("pull").oldest_eta_us) == (3, START_US + 300 * S)


def test_figures_of_a_push_queue_come_from_its_dispatcher_s_report(world):
    world.add(push_task(), push_task(), queue="push")
    fetch = world.runtime.statistician.fetch
    assert (fetch("push").executed_last_minute, fetch("push").in_flight, fetch("push").enforced_rate) == (0, 0, 3.0)
    epoch = world.ledger.take_ownership("push", "me")
    assert world.ledger.report("push", epoch, Report(7, 2, 1.5, world.clock.us))
    figures = fetch("push")
    assert (figures.tasks, figures.executed_last_minute, figures.in_flight, figures.enforced_rate) == (2, 7, 2, 1.5)
    world.runtime.controller.pause("push")
    assert fetch("push").enforced_rate == 0.0
    world.runtime.controller.resume("push")
    world.clock.advance(60)
    assert (fetch("push").executed_last_minute, fetch("push").enforced_rate) == (0, 3.0), "its dispatcher is gone"


def test_figures_of_an_unknown_queue(world):
    with pytest.raises(errors.UnknownQueueError):
        world.runtime.statistician.fetch("nowhere")


def test_pausing(world):
    control = world.runtime.controller
    assert not control.is_paused("pull")
    control.pause("pull")
    assert control.is_paused("pull")
    assert not control.is_paused("push")
    world.put("n")
    control.resume("pull")
    assert not control.is_paused("pull")
    for method in (control.pause, control.resume, control.is_paused):
        with pytest.raises(errors.UnknownQueueError):
            method("nowhere")


def test_payloads_are_kept_by_key_until_they_are_forgotten(world):
    payloads = world.runtime.payloads
    first, second = payloads.store(b"\x00" * 3_000_000), payloads.store(b"")
    assert first != second
    assert (payloads.fetch(first), payloads.fetch(second)) == (b"\x00" * 3_000_000, b"")
    payloads.forget(first)
    payloads.forget(first)
    assert (payloads.fetch(first), payloads.fetch("unknown")) == (None, None)


def test_housekeeping_forgets_old_tombstones(world):
    world.put("n")
    world.delete("n")
    assert world.runtime.housekeeper.run_once().pruned == 0
    world.clock.advance(365 * 86_400)
    assert world.runtime.housekeeper.run_once().pruned == 1
    assert world.ledger.facts("pull", ["n"]) == {}
