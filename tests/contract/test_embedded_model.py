"""The embedded broker against a model of it: random operations, and after each the counters and the order agree."""

import heapq
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Depth
from gae_broker_adapters.brokers.embedded import open_broker

QUEUE = "model"


class Clock:
    def __init__(self) -> None:
        self.us = 1_000

    def now_us(self) -> int:
        return self.us


class Model:
    """What a queue is, said as plainly as possible; drives the broker beside it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.broker = open_broker("embedded://", clock=self.clock)
        self.broker.declare([Queue(QUEUE, mode=Mode.PULL)])
        self.stored: dict[str, Message] = {}
        self.held: dict[str, object] = {}
        self.numbers = itertools.count()

    def publish(self, offset_us: int, key: int) -> None:
        message = Message(
            f"copy-{next(self.numbers)}", Kind.PULL, QUEUE, f"key-{key}", self.clock.us + offset_us, "{}", b""
        )
        assert self.broker.publish([message], 1.0) == [None]
        self.stored[message.copy_id] = message

    def publish_again(self, place: int, offset_us: int) -> None:
        if self.stored:
            old = self._stored(place)
            again = Message(old.copy_id, old.kind, QUEUE, old.key, self.clock.us + offset_us, "{}", b"again")
            assert self.broker.publish([again], 1.0) == [None]
            self.stored[old.copy_id] = again
            self.held.pop(old.copy_id, None)

    def get(self, limit: int, _: int) -> None:
        due = [message for message in self._waiting() if message.due_us <= self.clock.us]
        expected = heapq.nsmallest(limit, due, key=lambda message: (message.due_us, message.key))
        taken = self.broker.get(Kind.PULL, QUEUE, limit)
        assert [(d.message.due_us, d.message.key) for d in taken] == [(m.due_us, m.key) for m in expected]
        assert all(self.stored[delivery.message.copy_id] == delivery.message for delivery in taken)
        self.held.update((delivery.message.copy_id, delivery) for delivery in taken)

    def ack(self, count: int, _: int) -> None:
        copies = list(self.held)[:count]
        self.broker.ack([self.held.pop(copy) for copy in copies])
        for copy in copies:
            del self.stored[copy]

    def restore(self, count: int, _: int) -> None:
        copies = list(self.held)[-count:]
        self.broker.restore([self.held.pop(copy) for copy in copies])

    def discard(self, place: int, _: int) -> None:
        if self.stored:
            copy = self._stored(place).copy_id
            assert self.broker.discard(Kind.PULL, QUEUE, [copy, "absent"]) == 1
            del self.stored[copy]
            self.held.pop(copy, None)

    def purge(self, unlikely: int, _: int) -> None:
        if unlikely == 0:
            waiting = self._waiting()
            assert self.broker.purge(Kind.PULL, QUEUE) == len(waiting)
            for message in waiting:
                del self.stored[message.copy_id]

    def move_clock(self, _: int, by_us: int) -> None:
        self.clock.us += by_us

    def compare(self) -> None:
        waiting = self._waiting()
        ready = sum(message.due_us <= self.clock.us for message in waiting)
        oldest_us = min((message.due_us for message in self.stored.values()), default=None)
        expected = Depth(ready, len(waiting) - ready, len(self.held), oldest_us)
        assert self.broker.depth(Kind.PULL, QUEUE) == expected
        listed = self.broker.browse(Kind.PULL, QUEUE, 1000, None)
        order = sorted((message.due_us, message.key) for message in self.stored.values())
        assert [(message.due_us, message.key) for message in listed] == order

    def _waiting(self) -> list[Message]:
        return [message for copy, message in self.stored.items() if copy not in self.held]

    def _stored(self, place: int) -> Message:
        return list(self.stored.values())[place % len(self.stored)]


OPERATIONS = (
    Model.publish,
    Model.publish,
    Model.publish,
    Model.publish_again,
    Model.get,
    Model.get,
    Model.ack,
    Model.restore,
    Model.discard,
    Model.purge,
    Model.move_clock,
)
OFFSETS_US = (-500, 0, 1, 300, 5_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 6), st.sampled_from(OFFSETS_US)), max_size=40))
def test_random_operations_agree_with_the_model(steps) -> None:
    model = Model()
    try:
        for operation, number, offset_us in steps:
            if operation in {Model.publish, Model.publish_again}:
                first, second = (offset_us, number) if operation is Model.publish else (number, offset_us)
                operation(model, first, second)
            else:
                operation(model, number, offset_us)
            model.compare()
    finally:
        model.broker.close()
