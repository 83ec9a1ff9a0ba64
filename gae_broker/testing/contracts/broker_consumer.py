"""The Consumer's and the Subscription's obligations."""

from __future__ import annotations

import threading

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Broker, Delivery, Sink
from gae_broker.testing.contracts.broker_bench import DEADLINE_S, Adoption, Bench, eventually, messages, never
from gae_broker.testing.contracts.other_process import OtherProcess


class Recorder:
    """A subscription that writes down what it is told."""

    def __init__(self, broker: Broker, queue: str, demand: int = 0) -> None:
        self.delivered: list[Delivery] = []
        self.owned: list[bool] = []
        self.lost: list[Exception] = []
        self.subscription = broker.subscribe(queue, Sink(self.delivered.extend, self.owned.append, self.lost.append))
        if demand:
            self.subscription.demand(demand)

    @property
    def messages(self) -> list[Message]:
        """What came, in order."""
        return messages(list(self.delivered))

    def await_owned(self) -> None:
        """Until it is the queue's active one."""
        eventually(lambda: self.owned[-1:] == [True], "a subscription to become active")

    def await_messages(self, count: int) -> list[Message]:
        """Until so many came."""
        eventually(lambda: len(self.delivered) >= count, f"{count} deliveries")
        return self.messages


class ConsumerContract(Adoption):
    """`gae_broker.ports.Consumer` and `gae_broker.ports.Subscription`; numbers are those of the tested method."""

    def test_demand_1_each_delivery_lowers_it(self, bench: Bench) -> None:
        stored = bench.stored(5, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push, demand=3)
        assert recorder.await_messages(3) == stored[:3]
        never(lambda: len(recorder.delivered) > 3, "more than was asked for")
        recorder.subscription.demand(1)
        assert recorder.await_messages(4) == stored[:4]
        never(lambda: len(recorder.delivered) > 4, "more than was asked for")

    def test_demand_1_a_new_demand_replaces_the_old(self, bench: Bench) -> None:
        recorder = Recorder(bench.broker, bench.push, demand=50)
        recorder.await_owned()
        recorder.subscription.demand(2)
        stored = bench.stored(5, Kind.PUSH)
        assert recorder.await_messages(2) == stored[:2]
        never(lambda: len(recorder.delivered) > 2, "more than was asked for last")

    def test_demand_1_nothing_without_demand(self, bench: Bench) -> None:
        recorder = Recorder(bench.broker, bench.push)
        recorder.await_owned()
        bench.stored(1, Kind.PUSH)
        never(lambda: recorder.delivered, "delivered without demand")

    def test_demand_2_what_is_stored_later_comes_by_itself(self, bench: Bench) -> None:
        recorder = Recorder(bench.broker, bench.push, demand=100)
        first = bench.stored(10, Kind.PUSH)
        assert recorder.await_messages(10) == first
        second = bench.stored(10, Kind.PUSH)
        assert recorder.await_messages(20) == first + second

    def test_demand_2_what_another_process_stores_comes_by_itself(self, shared: Bench) -> None:
        recorder = Recorder(shared.broker, shared.push, demand=10)
        recorder.await_owned()
        message = shared.message(Kind.PUSH)
        assert shared.start_process().publish([message]) == [None]
        assert recorder.await_messages(1) == [message]

    def test_demand_2_messages_come_when_they_are_due_and_not_before(self, bench: Bench) -> None:
        arrived: list[tuple[int, Message]] = []

        def note(deliveries: list[Delivery]) -> None:
            arrived.extend((bench.clock.now_us(), delivery.message) for delivery in deliveries)

        subscription = bench.broker.subscribe(bench.push, Sink(note, lambda _: None, lambda _: None))
        subscription.demand(10)
        stored = [bench.message(Kind.PUSH, after_s=after_s) for after_s in (0.6, 0.3, 0.0)]
        assert bench.broker.publish(stored, DEADLINE_S) == [None] * 3
        eventually(lambda: len(arrived) == 3, "all three")
        assert [message for _, message in arrived] == stored[::-1]
        assert all(at_us >= message.due_us for at_us, message in arrived)

    def test_subscription_ack_removes_for_good(self, bench: Bench) -> None:
        stored = bench.stored(3, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push, demand=3)
        recorder.await_messages(3)
        recorder.subscription.ack(recorder.delivered[:2])
        recorder.subscription.ack(recorder.delivered[:2])
        recorder.subscription.close()
        successor = Recorder(bench.broker, bench.push, demand=3)
        assert successor.await_messages(1) == stored[2:]
        never(lambda: len(successor.delivered) > 1, "acked, and delivered again")

    def test_subscription_restore_brings_a_message_again(self, bench: Bench) -> None:
        (message,) = bench.stored(1, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push, demand=1)
        recorder.await_messages(1)
        recorder.subscription.restore(list(recorder.delivered))
        recorder.subscription.demand(1)
        assert recorder.await_messages(2) == [message, message]

    def test_subscription_restore_is_not_counted_as_the_end_of_a_worker(self, bench: Bench) -> None:
        bench.stored(3, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push)
        for _ in range(4):
            recorder.delivered.clear()
            recorder.subscription.demand(3)
            recorder.await_messages(3)
            assert [delivery.delivery_count for delivery in recorder.delivered] == [0, 0, 0]
            recorder.subscription.restore(list(recorder.delivered))

    def test_subscription_ack_again_does_nothing(self, bench: Bench) -> None:
        stored = bench.stored(4, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push, demand=4)
        recorder.await_messages(4)
        first, *others = list(recorder.delivered)
        for _ in range(2):
            recorder.subscription.ack([first])
        recorder.subscription.restore([first])
        recorder.subscription.demand(4)
        never(lambda: recorder.lost or len(recorder.delivered) > 4, "given back by an ack of something else")
        recorder.subscription.ack(others)
        recorder.subscription.close()
        successor = Recorder(bench.broker, bench.push, demand=4)
        successor.await_owned()
        never(lambda: successor.delivered, f"acked of {len(stored)}, and delivered again")

    def test_demand_1_what_nobody_asked_for_stays_in_the_queue(self, bench: Bench) -> None:
        """A slow queue: one task, then nothing for long; the others must not wait in this worker's hands."""
        bench.stored(5, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push, demand=1)
        recorder.await_messages(1)
        recorder.subscription.ack(list(recorder.delivered))
        eventually(lambda: bench.broker.depth(Kind.PUSH, bench.push).ready == 4, "four of five to be in the queue")
        never(lambda: bench.broker.depth(Kind.PUSH, bench.push).ready != 4, "taken without demand")

    def test_demand_1_what_waited_for_demand_goes_back_when_there_is_none(self, bench: Bench) -> None:
        """A fast queue that is paused: whatever was kept at hand goes back, and was no attempt."""
        bench.stored(400, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push)

        def work(more: int) -> None:
            done = len(recorder.delivered)
            recorder.subscription.demand(more)
            recorder.await_messages(done + more)
            recorder.subscription.ack(recorder.delivered[done:])

        for _ in range(30):
            work(10)
        recorder.subscription.demand(0)
        eventually(lambda: bench.broker.depth(Kind.PUSH, bench.push).ready == 100, "100 of 400 to be in the queue")
        work(100)
        assert {delivery.delivery_count for delivery in recorder.delivered} == {0}
        assert len({delivery.message.copy_id for delivery in recorder.delivered}) == 400

    def test_a_sink_may_call_its_subscription(self, bench: Bench) -> None:
        acked: list[Message] = []
        ready = threading.Event()

        def work(deliveries: list[Delivery]) -> None:
            ready.wait()
            subscription.ack(deliveries)
            acked.extend(messages(deliveries))
            subscription.demand(1)

        subscription = bench.broker.subscribe(bench.push, Sink(work, lambda _: None, lambda _: None))
        subscription.demand(1)
        ready.set()
        stored = bench.stored(5, Kind.PUSH)
        eventually(lambda: acked == stored, "each message to ask for the next")

    def test_close_gives_back_and_is_idempotent(self, bench: Bench) -> None:
        stored = bench.stored(2, Kind.PUSH)
        recorder = Recorder(bench.broker, bench.push, demand=2)
        recorder.await_messages(2)
        recorder.subscription.close()
        recorder.subscription.close()
        successor = Recorder(bench.broker, bench.push, demand=2)
        assert sorted(successor.await_messages(2), key=lambda message: message.due_us) == stored
        bench.stored(1, Kind.PUSH)
        never(lambda: len(recorder.delivered) > 2, "delivered to a closed subscription")

    def test_close_is_not_counted_as_the_end_of_a_worker(self, bench: Bench) -> None:
        bench.stored(3, Kind.PUSH)
        for _ in range(3):
            recorder = Recorder(bench.broker, bench.push, demand=2)
            recorder.await_messages(2)
            assert [delivery.delivery_count for delivery in recorder.delivered] == [0, 0]
            recorder.subscription.close()

    def test_close_at_any_moment_leaves_the_queue_to_others(self, bench: Bench) -> None:
        stored = bench.stored(1, Kind.PUSH)
        for step in range(8):
            recorder = Recorder(bench.broker, bench.push, demand=step % 2)
            if step > 5:
                recorder.await_owned()
            recorder.subscription.close()
        successor = Recorder(bench.broker, bench.push, demand=1)
        assert successor.await_messages(1) == stored

    def test_subscribe_1_one_is_active_and_the_others_wait(self, shared: Bench) -> None:
        active = Recorder(shared.broker, shared.push, demand=10)
        active.await_owned()
        others = [Recorder(shared.broker, shared.push, demand=10), Recorder(shared.open(), shared.push, demand=10)]
        stored = shared.stored(5, Kind.PUSH)
        assert active.await_messages(5) == stored
        never(lambda: any(other.owned or other.delivered for other in others), "two active subscriptions")

    def test_subscribe_1_another_takes_over_when_the_active_one_closes(self, shared: Bench) -> None:
        active = Recorder(shared.broker, shared.push, demand=2)
        active.await_owned()
        standby = Recorder(shared.open(), shared.push, demand=10)
        stored = shared.stored(5, Kind.PUSH)
        active.await_messages(2)
        active.subscription.close()
        standby.await_owned()
        assert sorted(standby.await_messages(5), key=lambda message: message.due_us) == stored

    def test_subscribe_1_another_takes_over_when_the_active_ones_process_is_killed(self, shared: Bench) -> None:
        process = _active_process(shared)
        stored = shared.stored(3, Kind.PUSH)
        assert process.event()["event"] == "delivered"
        standby = Recorder(shared.broker, shared.push, demand=10)
        process.kill()
        standby.await_owned()
        assert sorted(standby.await_messages(3), key=lambda message: message.due_us) == stored
        assert any(delivery.delivery_count == 1 for delivery in standby.delivered)

    def test_subscribe_2_a_superseded_subscription_learns_of_it(self, shared: Bench) -> None:
        if not self.supersedes_stalled:
            pytest.skip("superseding takes too long here")
        process = _active_process(shared)
        (message,) = shared.stored(1, Kind.PUSH)
        assert process.event() == {"event": "delivered", "copies": [message.copy_id]}
        process.stop()
        standby = Recorder(shared.broker, shared.push, demand=10)
        assert standby.await_messages(1) == [message]
        process.go_on()
        assert process.event() == {"event": "owned", "active": False}
        process.ack()
        standby.subscription.restore(list(standby.delivered))
        assert standby.await_messages(2) == [message, message]
        assert standby.owned == [True]


def _active_process(bench: Bench) -> OtherProcess:
    """Another process whose subscription is the push queue's active one, and asks for ten messages."""
    process = bench.start_process()
    process.subscribe(bench.push, 10)
    assert process.event() == {"event": "owned", "active": True}
    return process
