"""The Puller's obligations."""

from __future__ import annotations

import threading

import pytest

from gae_broker.domain.task import Kind
from gae_broker.errors import UnknownQueueError
from gae_broker.ports import Delivery
from gae_broker.testing.contracts.broker_bench import Adoption, Bench, eventually, messages, never


class PullerContract(Adoption):
    """`gae_broker.ports.Puller`; the numbers in the names are those of ``get``."""

    def test_get_takes_no_more_than_the_limit_in_order_of_due_times(self, bench: Bench) -> None:
        stored = bench.stored(7)
        assert messages(bench.take(3)) == stored[:3]
        assert messages(bench.take(4)) == stored[3:]
        assert bench.is_empty()

    def test_get_takes_what_became_due_later(self, bench: Bench) -> None:
        delayed = bench.stored(3, after_s=0.2)
        assert messages(bench.take(3)) == delayed

    def test_get_1_a_message_is_in_one_receivers_hands_at_a_time(self, shared: Bench) -> None:
        shared.stored(60)
        receivers = [shared.broker, shared.open(), shared.open()]
        taken: list[Delivery] = []

        def take_some() -> bool:
            for receiver in receivers:
                taken.extend(receiver.get(Kind.PULL, shared.pull, 7))
            return len(taken) >= 60

        eventually(take_some, "60 messages over three receivers")
        assert len({delivery.message.copy_id for delivery in taken}) == len(taken) == 60

    def test_get_1_threads_of_one_receiver_never_get_the_same(self, bench: Bench) -> None:
        stored = bench.stored(80)
        taken: list[Delivery] = []

        def take() -> None:
            while batch := bench.broker.get(Kind.PULL, bench.pull, 3):
                taken.extend(batch)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken += bench.take(80 - len(taken))
        assert sorted(delivery.message.key for delivery in taken) == [message.key for message in stored]

    def test_get_2_messages_of_a_killed_process_come_back_counted(self, shared: Bench) -> None:
        stored = shared.stored(5)
        process = shared.start_process()
        taken: list[str] = []

        def take_there() -> bool:
            taken.extend(process.get(shared.pull, 3 - len(taken)))
            return len(taken) == 3

        eventually(take_there, "the other process to hold 3")
        process.kill()
        back = shared.take(5)
        assert sorted(messages(back), key=lambda message: message.due_us) == stored
        counts = {delivery.message.copy_id: delivery.delivery_count for delivery in back}
        assert counts == {message.copy_id: int(message.copy_id in taken) for message in stored}

    def test_get_2_messages_of_a_closed_receiver_come_back(self, shared: Bench) -> None:
        stored = shared.stored(3)
        receiver = shared.open()
        shared.take(3, receiver)
        never(lambda: not shared.is_empty(), "in two receivers' hands")
        receiver.close()
        assert messages(shared.take(3)) == stored

    def test_get_2_messages_of_a_process_that_closed_come_back(self, shared: Bench) -> None:
        (message,) = shared.stored(1)
        process = shared.start_process()
        eventually(lambda: process.get(shared.pull, 1) == [message.copy_id], "the other process to hold it")
        process.leave()
        assert messages(shared.take(1)) == [message]

    def test_get_2_messages_of_a_closed_receiver_are_not_counted(self, shared: Bench) -> None:
        shared.stored(3)
        for _ in range(3):
            receiver = shared.open()
            assert {delivery.delivery_count for delivery in shared.take(3, receiver)} == {0}
            receiver.close()
        assert {delivery.delivery_count for delivery in shared.take(3)} == {0}

    def test_get_3_an_unknown_queue(self, bench: Bench) -> None:
        with pytest.raises(UnknownQueueError, match="nowhere"):
            bench.broker.get(Kind.PULL, "nowhere", 1)
        with pytest.raises(UnknownQueueError):
            bench.broker.get(Kind.PULL, bench.push, 1)

    def test_ack_removes_for_good(self, shared: Bench) -> None:
        stored = shared.stored(4)
        receiver = shared.open()
        taken = shared.take(4, receiver)
        receiver.ack(taken[:3])
        receiver.close()
        assert messages(shared.take(1)) == stored[3:]
        assert shared.is_empty()

    def test_ack_of_what_is_gone_does_nothing(self, bench: Bench) -> None:
        bench.stored(2)
        first, second = bench.take(2)
        bench.broker.ack([first])
        bench.broker.ack([first, second])
        bench.broker.ack([])
        eventually(lambda: not bench.broker.depth(Kind.PULL, bench.pull).unacked, "the count to follow")

    def test_ack_again_takes_nothing_else_out_of_its_receivers_hands(self, shared: Bench) -> None:
        shared.stored(4)
        receiver = shared.open()
        first, *others = shared.take(4, receiver)
        receiver.ack([first])
        receiver.ack([first])
        receiver.restore([first])
        never(lambda: not shared.is_empty(), "given back by an ack of something else")
        receiver.ack(others)
        receiver.close()
        assert shared.is_empty()

    def test_acks_in_any_order_remove_what_they_name(self, shared: Bench) -> None:
        stored = shared.stored(20)
        receiver = shared.open()
        taken = shared.take(20, receiver)
        receiver.ack([taken[7], taken[5], taken[6]])
        receiver.ack(taken[:5])
        receiver.ack([taken[19], *taken[10:12]])
        receiver.close()
        left = sorted(messages(shared.take(9)), key=lambda message: message.due_us)
        assert left == [*stored[8:10], *stored[12:19]]
        assert shared.is_empty()

    def test_ack_of_what_came_back_leaves_it_to_its_new_receiver(self, shared: Bench) -> None:
        (message,) = shared.stored(1)
        first, second = shared.open(), shared.open()
        (stale,) = shared.take(1, first)
        first.restore([stale])
        (fresh,) = shared.take(1, second)
        first.ack([stale])
        first.restore([stale])
        never(lambda: not shared.is_empty(), "given back by somebody who does not hold it")
        second.restore([fresh])
        (again,) = shared.take(1)
        assert again.message == message

    def test_restore_returns_messages_to_their_place(self, bench: Bench) -> None:
        stored = bench.stored(4)
        taken = bench.take(3)
        bench.broker.restore([*taken[1:], taken[0]])
        bench.broker.restore([])
        assert sorted(messages(bench.take(4)), key=lambda message: message.due_us) == stored

    def test_restore_is_not_counted_as_the_end_of_a_worker(self, bench: Bench) -> None:
        bench.stored(3)
        for _ in range(4):
            taken = bench.take(3)
            assert [delivery.delivery_count for delivery in taken] == [0, 0, 0]
            bench.broker.restore(taken)

    def test_restore_keeps_the_count_of_ended_workers(self, shared: Bench) -> None:
        (message,) = shared.stored(1)
        process = shared.start_process()
        eventually(lambda: process.get(shared.pull, 1) == [message.copy_id], "the other process to hold it")
        process.kill()
        for _ in range(3):
            (delivery,) = shared.take(1)
            assert (delivery.message, delivery.delivery_count) == (message, 1)
            shared.broker.restore([delivery])

    def test_restore_of_what_was_acked_does_nothing(self, bench: Bench) -> None:
        bench.stored(1)
        (delivery,) = bench.take(1)
        bench.broker.ack([delivery])
        bench.broker.restore([delivery])
        never(lambda: not bench.is_empty(), "acked, and delivered again")

    def test_restore_and_ack_may_come_from_other_threads(self, bench: Bench) -> None:
        bench.stored(2)
        first, second = bench.take(2)
        threads = [
            threading.Thread(target=bench.broker.ack, args=([first],)),
            threading.Thread(target=bench.broker.restore, args=([second],)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert messages(bench.take(1)) == [second.message]
        assert bench.is_empty()
