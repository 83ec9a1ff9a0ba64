"""The x-delayed-message plugin on paper: no server of the tests has it."""

from __future__ import annotations

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import ConfigurationError
from gae_broker_adapters.brokers.rabbitmq import topology
from gae_broker_adapters.brokers.rabbitmq.operating import plugin
from gae_broker_adapters.brokers.rabbitmq.operating.management import Management
from gae_broker_adapters.brokers.rabbitmq.topology import Features, Names
from gae_broker_adapters.brokers.rabbitmq.wire import envelope, frames, location
from gae_broker_adapters.brokers.rabbitmq.wire.envelope import Delayed, Returned

NOW_US = 1_700_000_000_000_000
NAMES = Names("t")
NOWHERE = Management("http://127.0.0.1:1", location.parse("amqp://127.0.0.1/"))


def message(due_us: int, kind: Kind = Kind.PUSH) -> Message:
    return Message("copy", kind, "mail", "task", due_us, "{}", b"body")


@pytest.mark.parametrize(
    ("wait_us", "delay_ms"),
    [(1, 1), (999, 1), (1000, 1), (1001, 2), (30 * 86_400 * 10**6, 2_592_000_000), (60 * 86_400 * 10**6, 2**32 - 1)],
)
def test_the_wait_is_rounded_up_and_never_so_long_that_it_counts_as_none(wait_us, delay_ms):
    found = plugin.delayed(message(NOW_US + wait_us), NOW_US)
    assert isinstance(found, Delayed)
    assert found.delay_ms == delay_ms
    assert (found.copy_id, found.body, found.due_us) == ("copy", b"body", NOW_US + wait_us)


@pytest.mark.parametrize("one", [message(0), message(NOW_US), message(NOW_US + 10**9, Kind.DEAD)])
def test_what_is_due_or_dead_does_not_go_there(one):
    assert plugin.delayed(one, NOW_US) is one


def test_a_message_put_back_keeps_its_count():
    back = Returned("copy", Kind.PUSH, "mail", "task", NOW_US + 5000, "{}", b"", 3)
    assert plugin.delayed(back, NOW_US).delivery_count == 3


def test_only_a_delayed_message_carries_the_header_and_is_not_mandatory():
    delayed = plugin.delayed(message(NOW_US + 5_000_000), NOW_US)
    assert envelope.contents(delayed)[0].headers["x-delay"] == 5000
    assert "x-delay" not in envelope.contents(message(0))[0].headers
    cut = frames.Cut(1, 131_072)
    by_us = frames.publish(delayed, "e", "k", cut)
    assert b"\x07x-delayI\x00\x00\x13\x88" in by_us
    method_end = by_us.index(b"\xce")
    assert by_us[method_end - 1] == 0
    plain = frames.publish(message(0), "e", "k", cut)
    assert plain[plain.index(b"\xce") - 1] == 1


def test_the_plugins_exchange_stands_beside_the_wheel_and_only_where_it_is_asked_for():
    pairs = [(Kind.PUSH, "mail"), (Kind.PULL, "crawl")]
    wheel = topology.whole(NAMES, pairs, Features())
    both = topology.whole(NAMES, pairs, Features(plugin=True))
    (added,) = set(both.names()) - set(wheel.names())
    (exchange,) = [one for one in both.exchanges if one.name == added]
    assert (exchange.name, exchange.type) == ("t.delayed.v1", "x-delayed-message")
    assert exchange.arguments == {"x-delayed-type": "topic"}
    bindings = {(one.destination, one.key) for one in both.bindings if one.source == added}
    assert bindings == {("t.push.q.mail", "push.mail"), ("t.pull.q.crawl", "pull.crawl")}
    assert "alternate-exchange" not in exchange.arguments, "it would get each delayed message at once"


@pytest.mark.parametrize("version", ["4.3.0", "4.3.6", "5.0.0"])
def test_servers_that_cannot_run_it_are_refused(version):
    with pytest.raises(ConfigurationError, match=r"cannot run x-delayed-message, 4\.2 was the last"):
        plugin.require(version, NOWHERE)


def test_where_it_cannot_be_asked_declaring_tells():
    plugin.require("4.2.1", NOWHERE)
