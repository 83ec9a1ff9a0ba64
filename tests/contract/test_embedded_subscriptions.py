"""What subscriptions of the embedded broker promise beyond the contract: virtual time, batches, one thread."""

import sqlite3
import threading
import time

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Sink
from gae_broker.testing.contracts.broker_bench import eventually, never
from gae_broker_adapters.brokers.embedded import open_broker

THREAD = "gae-broker embedded"


class FrozenClock:
    def __init__(self) -> None:
        self.us = 10**15

    def now_us(self) -> int:
        return self.us


class Told:
    """A sink that keeps each call apart."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.deliveries = []
        self.owned: list[bool] = []
        self.lost: list[Exception] = []

    @property
    def sink(self) -> Sink:
        return Sink(self._deliver, self.owned.append, self.lost.append)

    def _deliver(self, deliveries) -> None:
        self.deliveries += deliveries
        self.batches.append([delivery.message.key for delivery in deliveries])


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=["file", "memory"])
def broker(request, tmp_path, clock):
    url = f"embedded:///{tmp_path}/tasks.db" if request.param == "file" else "embedded://"
    broker = open_broker(url, clock=clock)
    broker.declare([Queue("default")])
    yield broker
    broker.close()


def message(number: int, due_us: int = 0, queue: str = "default") -> Message:
    return Message(f"{queue}-{number}", Kind.PUSH, queue, f"t{number:03}", due_us, "{}", b"")


def stored(broker, *messages: Message) -> None:
    assert broker.publish(messages, 5.0) == [None] * len(messages)


def embedded_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_with_a_clock_that_stands_still_nothing_becomes_due_until_it_is_moved(broker, clock) -> None:
    told = Told()
    broker.subscribe("default", told.sink).demand(10)
    stored(broker, message(1, clock.us + 1), message(2, clock.us + 60_000_000))
    eventually(lambda: told.owned, "ownership")
    never(lambda: told.batches, "delivered before the clock moved")
    clock.us += 1
    eventually(lambda: told.batches == [["t001"]], "the first")
    clock.us += 60_000_000
    eventually(lambda: told.batches == [["t001"], ["t002"]], "the second")


def test_what_is_due_comes_in_one_batch_in_order_of_due_time_and_key(broker) -> None:
    stored(broker, *(message(number, due_us=number // 10) for number in reversed(range(50))))
    told = Told()
    broker.subscribe("default", told.sink).demand(40)
    eventually(lambda: told.batches, "a batch")
    assert told.batches == [[f"t{number:03}" for number in range(40)]]


def test_a_hundred_subscriptions_share_one_thread_and_publishers_have_none(broker) -> None:
    before = len(embedded_threads())
    queues = [f"q{number}" for number in range(100)]
    broker.declare([Queue(name) for name in queues])
    stored(broker, *(message(1, queue=name) for name in queues))
    assert len(embedded_threads()) == before
    told = [Told() for _ in queues]
    for name, each in zip(queues, told, strict=True):
        broker.subscribe(name, each.sink).demand(1)
    eventually(lambda: all(each.batches == [["t001"]] for each in told), "a message on each queue")
    assert len(embedded_threads()) == before + 1
    broker.close()
    assert len(embedded_threads()) == before


def test_a_restored_message_keeps_its_place_and_count(broker) -> None:
    stored(broker, *(message(number) for number in range(3)))
    told = Told()
    subscription = broker.subscribe("default", told.sink)
    subscription.demand(2)
    eventually(lambda: told.batches, "a batch")
    subscription.restore(told.deliveries[:2])
    subscription.demand(3)
    eventually(lambda: len(told.deliveries) == 5, "all of it")
    assert [key for batch in told.batches[1:] for key in batch] == ["t000", "t001", "t002"]
    assert {delivery.delivery_count for delivery in told.deliveries} == {0}


def test_closing_gives_back_uncounted_before_it_returns(broker) -> None:
    stored(broker, message(1))
    told = Told()
    subscription = broker.subscribe("default", told.sink)
    subscription.demand(1)
    eventually(lambda: told.batches, "the message")
    subscription.close()
    (again,) = broker.get(Kind.PUSH, "default", 10)
    assert again.delivery_count == 0


def test_a_sink_that_fails_loses_its_subscription_and_no_message(broker) -> None:
    told, successor = Told(), Told()

    def fail(_: object) -> None:
        raise RuntimeError("no")

    broker.subscribe("default", Sink(fail, told.owned.append, told.lost.append)).demand(1)
    stored(broker, message(1))
    eventually(lambda: [str(exc) for exc in told.lost] == ["no"], "the loss to be told")
    broker.subscribe("default", successor.sink).demand(1)
    eventually(lambda: successor.batches == [["t001"]], "the message")


def test_subscriptions_closed_while_messages_arrive_lose_none(broker) -> None:
    stored(broker, *(message(number) for number in range(200)))
    done: set[str] = set()
    deadline = time.monotonic() + 20
    while len(done) < 200 and time.monotonic() < deadline:
        told = Told()
        subscription = broker.subscribe("default", told.sink)
        subscription.demand(7)
        eventually(lambda told=told: told.batches, "a batch")
        taken = told.deliveries[:5]
        subscription.ack(taken)
        done |= {delivery.message.key for delivery in taken}
        subscription.close()
    assert len(done) == 200
    assert broker.depth(Kind.PUSH, "default").ready == 0
    assert broker.depth(Kind.PUSH, "default").unacked == 0


def test_a_demand_lowered_while_messages_are_being_taken_holds(broker, clock, monkeypatch) -> None:
    told = Told()
    subscription = broker.subscribe("default", told.sink)
    eventually(lambda: told.owned, "ownership")
    stored(broker, *(message(number) for number in range(10)))
    claim = broker._assembled.claiming.claim

    def claim_late(*args):
        taken = claim(*args)
        subscription.demand(2)
        return taken

    monkeypatch.setattr(broker._assembled.claiming, "claim", claim_late)
    subscription.demand(10)
    eventually(lambda: told.batches, "a batch")
    assert told.batches == [["t000", "t001"]]
    eventually(lambda: broker.depth(Kind.PUSH, "default").ready == 8, "the others to be given back")


def test_who_was_superseded_takes_nothing_more(tmp_path, clock) -> None:
    path = tmp_path / "tasks.db"
    broker = open_broker(f"embedded:///{path}", clock=clock)
    broker.declare([Queue("default")])
    told = Told()
    broker.subscribe("default", told.sink).demand(10)
    eventually(lambda: told.owned == [True], "ownership")
    successor = sqlite3.connect(path, isolation_level=None)
    successor.executescript(
        "BEGIN IMMEDIATE; UPDATE broker_owners SET token = 1;"
        "INSERT INTO broker_messages (queue_id, due_us, key, copy_id, meta, body)"
        " SELECT id, 0, 'k', 'c', '', x'' FROM broker_queues WHERE kind = 'push'; COMMIT"
    )
    eventually(lambda: told.owned == [True, False], "the loss of ownership to be told")
    assert not told.batches
    successor.execute("DELETE FROM broker_owners")
    successor.close()
    eventually(lambda: told.batches == [["k"]], "the message, owner again")
    assert told.owned == [True, False, True]
    broker.close()


@pytest.mark.parametrize("failing", ["deliver", "owned"])
def test_a_consumer_that_fails_does_not_end_the_others(broker, failing) -> None:
    broker.declare([Queue("other")])

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    calls = {"deliver": lambda _: None, "owned": lambda _: None, failing: fail}
    broker.subscribe("default", Sink(**calls, lost=fail)).demand(1)
    told = Told()
    broker.subscribe("other", told.sink).demand(5)
    stored(broker, message(1), message(1, queue="other"))
    eventually(lambda: told.batches == [["t001"]], "the other's message")
    eventually(lambda: broker.depth(Kind.PUSH, "default").ready == 1, "the failed one's message to come back")
    stored(broker, message(2, queue="other"))
    eventually(lambda: told.batches == [["t001"], ["t002"]], "the other's next message")
    assert not told.lost
