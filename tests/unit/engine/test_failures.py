"""What a caller is told, and what remains, when broker or ledger fail in the midst of a use case."""

from __future__ import annotations

import threading

import pytest

from gae_broker import errors
from gae_broker.ports import State
from tests.unit.engine.doubles import Down, Refusing
from tests.unit.engine.worlds import World, names

BROKER = errors.BrokerUnavailableError("broker down")
LEDGER = errors.LedgerUnavailableError("ledger down")


@pytest.fixture
def filled(world):
    for name in ("a", "b", "c"):
        world.put(name)
    world.put("t", tag="x", eta_s=0.5)
    world.clock.advance(1)
    return world


def broken(world, *, broker=None, ledger=None):
    return World(broker or world.broker, ledger or world.ledger, world.clock, "x-")


@pytest.mark.parametrize("stores", [True, False])
def test_a_copy_that_could_not_be_parked_is_left_and_the_others_are_leased(filled, stores):
    partly = broken(filled, broker=Refusing(filled.broker, BROKER, stores=stores, keys={"b"}))
    assert names(partly.lease()) == ["a", "c", "t"]
    assert names(filled.lease()) == ["b"]
    filled.clock.advance(1000)
    assert sorted(names(filled.lease())) == ["a", "b", "c", "t"]


@pytest.mark.parametrize("stores", [True, False])
def test_if_nothing_could_be_parked_the_error_is_raised_and_nothing_is_leased(filled, stores):
    with pytest.raises(errors.BrokerUnavailableError):
        broken(filled, broker=Refusing(filled.broker, BROKER, stores=stores)).lease(3)
    assert names(filled.lease()) == ["a", "b", "c", "t"]
    filled.clock.advance(1000)
    assert len(filled.lease()) == 4


@pytest.mark.parametrize("does", [True, False])
@pytest.mark.parametrize("method", ["control", "held_ready", "facts", "advance", "lease_held"])
def test_a_ledger_that_fails_during_a_lease(filled, method, does):
    down = broken(filled, ledger=Down(filled.ledger, LEDGER, method, does=does))
    if method == "lease_held":
        assert names(down.lease()) == ["a", "b", "c"], "what was leased is not withheld"
    else:
        with pytest.raises(errors.LedgerUnavailableError):
            down.lease()
    filled.clock.advance(1000)
    assert sorted(names(filled.lease())) == ["a", "b", "c", "t"], "nothing is lost, nothing is doubled"


@pytest.mark.parametrize("does", [True, False])
@pytest.mark.parametrize("method", ["ack", "restore", "discard"])
def test_a_broker_that_fails_after_the_lease_is_in_force(filled, method, does):
    down = broken(filled, broker=Down(filled.broker, BROKER, method, does=does))
    assert names(down.lease()) == ["a", "b", "c", "t"]


@pytest.mark.parametrize("does", [True, False])
def test_a_get_that_fails(filled, does):
    with pytest.raises(errors.BrokerUnavailableError):
        broken(filled, broker=Down(filled.broker, BROKER, "get", does=does)).lease()


@pytest.mark.parametrize("tag", ["x", None])
def test_tagged_leases_need_the_ledger_only(filled, tag):
    down = broken(filled, broker=Down(filled.broker, BROKER, "publish", "ack", "discard"))
    filled.delete("a", "b", "c")
    assert names(down.lease_tag(tag)) == ["t"]


def test_a_change_of_a_lease_that_could_not_be_published(filled):
    copy = filled.lease()[0]
    with pytest.raises(errors.BrokerUnavailableError):
        broken(filled, broker=Refusing(filled.broker, BROKER)).modify(copy, 600)
    filled.modify(copy, 5)


@pytest.mark.parametrize("does", [True, False])
def test_a_change_of_a_lease_that_the_ledger_did_not_answer(filled, does):
    copy = filled.lease()[0]
    with pytest.raises(errors.LedgerUnavailableError):
        broken(filled, ledger=Down(filled.ledger, LEDGER, "advance", does=does)).modify(copy, 600)
    filled.clock.advance(100)
    assert (copy.name in names(filled.lease())) is not does
    filled.clock.advance(1000)
    assert len(filled.lease()) == 4


@pytest.mark.parametrize("does", [True, False])
def test_a_delete_whose_answer_got_lost(filled, does):
    with pytest.raises(errors.LedgerUnavailableError):
        broken(filled, ledger=Down(filled.ledger, LEDGER, "delete", does=does)).delete("a")
    assert filled.delete("a") == [not does]
    assert names(filled.lease()) == ["b", "c", "t"]


def test_a_delete_is_done_although_the_copies_could_not_be_discarded(filled):
    assert broken(filled, broker=Down(filled.broker, BROKER, "discard")).delete("a") == [True]
    assert filled.ledger.facts("pull", ["a"])["a"].state is State.DELETED
    assert names(filled.lease()) == ["b", "c", "t"]
    assert filled.stored() == 3, "the void copy is removed when it is met"


def test_a_purge_that_the_broker_did_not_do_is_reported_and_in_force_nevertheless(filled):
    with pytest.raises(errors.BrokerUnavailableError):
        broken(filled, broker=Down(filled.broker, BROKER, "purge")).runtime.remover.purge("pull")
    filled.clock.advance(1000)
    assert filled.lease() == []


def test_an_outage_is_never_an_empty_answer(filled):
    down = broken(filled, ledger=Down(filled.ledger, LEDGER, "control", "facts", "held_depth", "set_paused", "delete"))
    for call in (
        down.lease,
        lambda: down.delete("a"),
        lambda: down.runtime.statistician.fetch("pull"),
        lambda: down.runtime.controller.pause("pull"),
        lambda: down.runtime.controller.is_paused("pull"),
        lambda: down.runtime.browser.tasks("pull", 1),
        lambda: down.runtime.browser.find("pull", "a"),
    ):
        with pytest.raises(errors.LedgerUnavailableError):
            call()


def test_threads_that_lease_at_the_same_time_share_the_tasks(world):
    expected = {world.put(tag="x" if index % 5 == 0 else None) for index in range(150)}
    world.clock.advance(1)
    leased = []

    def work():
        while got := names(world.lease(7)):
            leased.append(got)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One that finds the others holding everything at the moment ends early; the last one gets what is left.
    leased.append(names(world.lease()))
    flat = [name for got in leased for name in got]
    assert len(flat) == len(set(flat))
    assert set(flat) == expected


def test_a_copy_that_a_failed_lease_left_behind_takes_no_place(world):
    """Its twin has no row either, so both look valid until one of them is leased."""
    twin = world.put()
    world.clock.advance(1)
    with pytest.raises(errors.LedgerUnavailableError):
        broken(world, ledger=Down(world.ledger, LEDGER, "advance")).lease(seconds=0)
    other = world.put(eta_s=1)
    assert world.stored() == 3
    world.clock.advance(2)
    assert names(world.lease(2)) == [twin, other]
    assert world.lease() == []
    assert world.stored() == 2
