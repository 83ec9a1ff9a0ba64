"""What RabbitMQ does to a subscription of its own accord, and what the subscription makes of it."""

from __future__ import annotations

import logging
import os
import socket

import pika
import pytest

from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.testing.contracts.broker_bench import Bench, eventually, never
from gae_broker.testing.contracts.broker_consumer import Recorder

OPENER = "gae_broker_adapters.brokers.rabbitmq:open_broker"


@pytest.fixture
def bench(rabbitmq_url):
    bench = Bench(OPENER, rabbitmq_url)
    yield bench
    bench.close()


@pytest.fixture
def operator(rabbitmq_url):
    """A channel of somebody else's."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url.rstrip("/") + "/%2F" * _is_bare(rabbitmq_url)))
    yield connection.channel()
    connection.close()


def _is_bare(url):
    return url.rstrip("/").count("/") == 2


def test_a_queue_deleted_under_its_consumer_ends_the_subscription(bench, operator):
    bench.stored(2, Kind.PUSH)
    recorder = Recorder(bench.broker, bench.push, demand=2)
    recorder.await_messages(2)
    operator.queue_delete(f"gaetq.push.q.{bench.push}")
    eventually(lambda: recorder.lost, "word of the end")
    assert "the queue was deleted" in str(recorder.lost[0])
    assert bench.push in str(recorder.lost[0])


def test_a_queue_that_is_not_there_is_waited_for_and_said_once(bench, operator, caplog):
    operator.queue_delete(f"gaetq.push.q.{bench.push}")
    with caplog.at_level(logging.WARNING, "gae_broker_adapters"):
        recorder = Recorder(bench.broker, bench.push, demand=10)
        eventually(lambda: "cannot be consumed" in caplog.text, "word of the queue")
        bench.broker.declare([Queue(bench.push)])
        stored = bench.stored(1, Kind.PUSH)
        assert recorder.await_messages(1) == stored
    texts = [record.getMessage() for record in caplog.records if record.name.startswith("gae_broker_adapters")]
    assert len(texts) == 2
    assert "gae-broker deploy queue.yaml" in texts[0]
    assert texts[1] == f"queue {bench.push} is consumed again"
    assert recorder.lost == []


def test_an_owner_whose_token_queue_is_deleted_ends_the_subscription(bench, operator):
    recorder = Recorder(bench.broker, bench.push, demand=10)
    recorder.await_owned()
    operator.queue_delete(f"gaetq.owner.{bench.push}")
    eventually(lambda: recorder.lost, "word of the end")
    assert f"RabbitMQ cancelled its claim in 'gaetq.owner.{bench.push}'" in str(recorder.lost[0])
    bench.broker.declare([Queue(bench.push)])
    Recorder(bench.open(), bench.push, demand=10).await_owned()


def test_the_owner_can_be_told_in_the_console(bench, rabbitmq, rabbitmq_url):
    if rabbitmq.management is None:
        pytest.skip("only the URL of this server is known")
    standby = Bench(OPENER, rabbitmq_url)
    try:
        Recorder(bench.broker, bench.push).await_owned()
        Recorder(standby.broker, bench.push)
        tags = []

        def told():
            tags[:] = [
                (consumer["consumer_tag"], consumer["active"])
                for consumer in rabbitmq.management.call("GET", f"consumers/{rabbitmq_url.rpartition('/')[2]}")
                if consumer["queue"]["name"] == f"gaetq.owner.{bench.push}"
            ]
            return len(tags) == 2

        eventually(told, "both consumers to be listed")
        own = f"{socket.gethostname()}:{os.getpid()}"
        assert sorted(tags) == [(own, False), (own, True)]
    finally:
        standby.close()


def test_what_is_held_when_the_connection_ends_comes_back_and_counts(bench):
    stored = bench.stored(2, Kind.PUSH)
    recorder = Recorder(bench.broker, bench.push, demand=2)
    recorder.await_messages(2)
    session = bench.broker._consumer.session
    session.run(lambda: session._connection._terminate_stream(ConnectionAbortedError("cut by a test")))
    eventually(lambda: recorder.lost, "word of the end")
    recorder.subscription.ack(list(recorder.delivered))  # void, and harmless to what comes next on that connection
    successor = Recorder(bench.broker, bench.push, demand=2)
    assert sorted(successor.await_messages(2), key=lambda message: message.due_us) == stored
    assert [delivery.delivery_count for delivery in successor.delivered] == [1, 1]


def test_a_get_waits_for_another_connection_when_its_own_ends(bench):
    assert bench.is_empty()
    stored = bench.stored(2)
    session = bench.broker._puller.session
    session.run(lambda: session._connection._terminate_stream(ConnectionAbortedError("cut by a test")))
    taken = bench.broker.get(Kind.PULL, bench.pull, 2)
    taken += bench.take(2 - len(taken))
    assert sorted((one.message for one in taken), key=lambda message: message.due_us) == stored


def test_two_subscriptions_of_one_process_to_different_queues_do_not_meet(bench):
    other = bench.push + "-other"
    bench.broker.declare([Queue(other)])
    first, second = Recorder(bench.broker, bench.push, demand=5), Recorder(bench.broker, other, demand=5)
    first.await_owned()
    second.await_owned()
    stored = bench.stored(3, Kind.PUSH)
    first.await_messages(3)
    first.subscription.close()
    never(lambda: second.lost or second.delivered, "touched by another subscription's end")
    assert first.messages == stored


@pytest.mark.parametrize("is_lean", [True, False], ids=["lean", "pika's own"])
def test_without_the_lean_reader_it_works_alike(rabbitmq_url, monkeypatch, is_lean):
    if not is_lean:
        monkeypatch.setattr("gae_broker_adapters.brokers.rabbitmq.wire.inlet.PRIVATE", {"gone": ("self",)})
    bench = Bench(OPENER, rabbitmq_url)
    try:
        pushed, pulled = bench.stored(30, Kind.PUSH), bench.stored(30)
        recorder = Recorder(bench.broker, bench.push, demand=20)
        recorder.await_messages(20)
        recorder.subscription.ack(recorder.delivered[5:15])
        recorder.subscription.restore(recorder.delivered[15:])
        recorder.subscription.demand(15)
        recorder.await_messages(35)
        assert {delivery.message.copy_id for delivery in recorder.delivered} == {one.copy_id for one in pushed}
        assert {delivery.delivery_count for delivery in recorder.delivered} == {0}
        taken = bench.take(30)
        assert [delivery.message for delivery in taken] == pulled
        bench.broker.ack(taken)
        assert bench.is_empty()
    finally:
        bench.close()
