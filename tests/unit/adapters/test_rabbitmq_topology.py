"""The delay wheel on paper: where a message enters, how long it waits, where it comes out."""

import fnmatch
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain.task import Kind
from gae_broker_adapters.brokers.rabbitmq import topology
from gae_broker_adapters.brokers.rabbitmq.topology import LEVELS, MAX_UNITS, RADIX, UNIT_US, Features, Names

NAMES = Names("t")
WHOLE = topology.whole(NAMES, [(Kind.PUSH, "mail"), (Kind.PULL, "crawl")], Features())


def matches(pattern: str, key: str) -> bool:
    words, wanted = key.split("."), pattern.split(".")
    return len(words) == len(wanted) and all(fnmatch.fnmatchcase(w, p) for w, p in zip(words, wanted, strict=True))


def walk(exchange: str, key: str) -> tuple[list[str], int]:
    """The queues that a message comes to, and the milliseconds it waits on its way."""
    waited = 0
    arguments = {queue.name: queue.arguments for queue in WHOLE.queues}
    exchanges = {one.name: one for one in WHOLE.exchanges}
    for _ in range(2 * LEVELS + 2):
        direct = exchanges[exchange].type == "direct"
        found = [b for b in WHOLE.bindings if b.source == exchange]
        found = [b for b in found if (b.key == key if direct else matches(b.key, key) or not b.key)]
        if not found:
            return [], waited
        assert len(found) == 1, "a message has one way"
        (step,) = found
        if step.to_exchange:
            exchange = step.destination
        elif "x-message-ttl" in arguments[step.destination]:
            waited += arguments[step.destination]["x-message-ttl"]
            exchange = arguments[step.destination]["x-dead-letter-exchange"]
        else:
            return [step.destination], waited
    raise AssertionError("the way has no end")


@given(delay_us=st.integers(-10 * UNIT_US, 31 * 86_400 * 1_000_000), kind=st.sampled_from([Kind.PUSH, Kind.PULL]))
def test_a_message_waits_its_delay_rounded_up_and_comes_to_its_queue(delay_us, kind):
    queue = {Kind.PUSH: "mail", Kind.PULL: "crawl"}[kind]
    exchange, key = topology.route(NAMES, kind, queue, 10**15 + delay_us, 10**15)
    queues, waited_ms = walk(exchange, key)
    assert queues == [NAMES.queue(kind, queue)]
    assert 0 <= waited_ms * 1000 - max(delay_us, 0) < UNIT_US


@pytest.mark.parametrize(
    ("units", "level", "digits"),
    [
        (1, 0, "0.0.0.0.0.0.1"),
        (15, 0, "0.0.0.0.0.0.f"),
        (16, 1, "0.0.0.0.0.1.0"),
        (0x12C, 2, "0.0.0.0.1.2.c"),
        (MAX_UNITS, 6, "f.f.f.f.f.f.f"),
    ],
)
def test_the_wheel_is_entered_at_the_highest_digit_that_is_not_zero(units, level, digits):
    assert topology.route(NAMES, Kind.PUSH, "mail", units * UNIT_US, 0) == (NAMES.level(level), f"{digits}.push.mail")


def test_a_delay_beyond_the_wheel_waits_as_long_as_it_can_and_comes_early_to_be_put_back():
    _, key = topology.route(NAMES, Kind.PULL, "crawl", (MAX_UNITS + 5) * UNIT_US, 0)
    assert key == "f.f.f.f.f.f.f.pull.crawl"


def test_dead_letters_never_wait():
    assert topology.route(NAMES, Kind.DEAD, "mail", 10**18, 0) == (NAMES.exchange(Kind.DEAD), "mail")


def test_every_delay_queue_loses_nothing_and_has_one_time_to_live():
    delays = [queue for queue in WHOLE.queues if ".delay." in queue.name]
    assert len(delays) == LEVELS * (RADIX - 1)
    for queue in delays:
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
        assert queue.arguments["x-overflow"] == "reject-publish"
        assert not {"x-expires", "x-max-length", "x-max-length-bytes"} & set(queue.arguments)
    assert max(Counter(queue.arguments["x-message-ttl"] for queue in delays).values()) == 1


def test_what_has_no_queue_any_more_comes_to_the_orphans_instead_of_stopping_the_wheel():
    (due,) = [one for one in WHOLE.exchanges if one.name == NAMES.due]
    assert due.arguments == {"alternate-exchange": NAMES.orphan}


def test_push_queues_have_one_active_consumer_and_pull_queues_have_not():
    arguments = {queue.name: queue.arguments for queue in WHOLE.queues}
    assert arguments[NAMES.queue(Kind.PUSH, "mail")]["x-single-active-consumer"] is True
    assert "x-single-active-consumer" not in arguments[NAMES.queue(Kind.PULL, "crawl")]


@pytest.mark.parametrize(("version", "has"), [("3.10.8", False), ("3.12.0", True), ("4.3.6-1", True)])
def test_old_brokers_know_no_consumer_timeout_of_a_queue(version, has):
    features = Features.of(version)
    assert features.consumer_timeout is has
    queue = topology.of_queue(NAMES, Kind.PUSH, "mail", features).queues[-1]
    assert ("x-consumer-timeout" in queue.arguments) is has
