"""The Publisher's obligations."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import TransientError, UnknownQueueError
from gae_broker.testing.contracts.broker_bench import DEADLINE_S, Adoption, Bench, eventually, messages, never

_SHORT_DEADLINE_S = 0.5
_GRACE_S = 1.0
_LARGEST_BODY = 1024 * 1024


class PublisherContract(Adoption):
    """`gae_broker.ports.Publisher`; the numbers in the names are those of ``publish``."""

    def test_publish_1_confirmed_messages_survive_the_kill_of_their_publisher(self, shared: Bench) -> None:
        published = [shared.message() for _ in range(20)]
        process = shared.start_process()
        assert process.publish(published) == [None] * 20
        process.kill()
        taken = shared.take(20)
        assert sorted(messages(taken), key=_due) == published
        shared.broker.ack(taken)

    @pytest.mark.parametrize("body", [b"", bytes(range(256)), b"x" * _LARGEST_BODY], ids=["empty", "binary", "1 MiB"])
    def test_publish_1_messages_arrive_as_they_were_published(self, bench: Bench, body: bytes) -> None:
        message = dataclasses.replace(bench.message(body=body), meta='{"name":"Grüße, 世界","n":1}')
        assert bench.broker.publish([message], DEADLINE_S) == [None]
        (delivery,) = bench.take(1)
        assert delivery.message == message
        assert delivery.delivery_count == 0

    def test_publish_1_from_many_threads_at_once(self, bench: Bench) -> None:
        published = [bench.message() for _ in range(200)]
        with ThreadPoolExecutor(8) as threads:
            outcomes = list(threads.map(lambda message: bench.broker.publish([message], DEADLINE_S), published))
        assert outcomes == [[None]] * 200
        assert {message.copy_id for message in messages(bench.take(200))} == {m.copy_id for m in published}
        assert bench.is_empty()

    def test_publish_1_an_empty_batch_is_stored_at_once(self, bench: Bench) -> None:
        assert bench.broker.publish([], DEADLINE_S) == []

    def test_publish_2_an_unknown_queue_affects_its_own_messages_only(self, bench: Bench) -> None:
        first, stray, last = (bench.message() for _ in range(3))
        stray = dataclasses.replace(stray, queue=f"{bench.pull}-unknown")
        outcomes = bench.broker.publish([first, stray, last], DEADLINE_S)
        assert [type(outcome) for outcome in outcomes] == [type(None), UnknownQueueError, type(None)]
        assert f"{bench.pull}-unknown" in str(outcomes[1])
        assert messages(bench.take(2)) == [first, last]

    def test_publish_2_a_push_message_does_not_fit_a_pull_queue(self, bench: Bench) -> None:
        misdirected = dataclasses.replace(bench.message(Kind.PUSH), queue=bench.pull)
        (outcome,) = bench.broker.publish([misdirected], DEADLINE_S)
        assert isinstance(outcome, UnknownQueueError)

    def test_publish_3_it_returns_by_the_deadline_while_the_broker_takes_nothing(
        self, bench: Bench, obstruction: Callable[[], AbstractContextManager[object]]
    ) -> None:
        obstructed = [bench.message() for _ in range(3)]
        with obstruction():
            begun_s = time.monotonic()
            outcomes = bench.broker.publish(obstructed, _SHORT_DEADLINE_S)
            took_s = time.monotonic() - begun_s
        assert all(isinstance(outcome, TransientError) for outcome in outcomes), outcomes
        assert took_s < _SHORT_DEADLINE_S + _GRACE_S
        later = eventually(lambda: _published(bench), "publishing to work again")
        eventually(lambda: later in messages(bench.broker.get(Kind.PULL, bench.pull, 10)), "the later message")

    def test_publish_4_the_same_copy_again_is_the_same_message_once_or_twice(self, bench: Bench) -> None:
        (message,) = bench.stored(1)
        assert bench.broker.publish([message], DEADLINE_S) == [None]
        again = bench.message()
        assert bench.broker.publish([again, again], DEADLINE_S) == [None, None]
        taken = bench.take(2)
        taken += bench.broker.get(Kind.PULL, bench.pull, 10)
        assert {delivery.message for delivery in taken} <= {message, again}
        bench.broker.ack(taken)
        eventually(lambda: bench.broker.depth(Kind.PULL, bench.pull).ready == 0, "both to be gone")

    def test_publish_5_a_message_is_not_delivered_before_it_is_due(self, bench: Bench) -> None:
        (delayed,) = bench.stored(1, after_s=1.0)
        (ready,) = bench.stored(1)
        assert messages(bench.take(1)) == [ready]
        never(lambda: not bench.is_empty() and bench.clock.now_us() < delayed.due_us, "delivered too early")
        bench.broker.publish([late := bench.message(after_s=0.5)], DEADLINE_S)
        arrived: list[Message] = []

        def look() -> bool:
            arrived.extend(messages(bench.broker.get(Kind.PULL, bench.pull, 1)))
            assert all(message.due_us <= bench.clock.now_us() for message in arrived)
            return late in arrived

        eventually(look, "the delayed messages")


def _due(message: Message) -> int:
    return message.due_us


def _published(bench: Bench) -> Message | None:
    message = bench.message()
    return message if bench.broker.publish([message], DEADLINE_S) == [None] else None
