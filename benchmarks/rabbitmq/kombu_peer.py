"""kombu with publisher confirms, on quorum queues: what Celery and many others publish with."""

from __future__ import annotations

import random
import time

from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.transport.native_delayed_delivery import (
    MAX_LEVEL,
    bind_queue_to_native_delayed_delivery_exchange,
    calculate_routing_key,
    declare_native_delayed_delivery_exchanges_and_queues,
    level_name,
)

from benchmarks.stores import PAYLOAD

_QUORUM = {"x-queue-type": "quorum"}
_DUE = "due"


class KombuPeer:
    """One connection that waits for the confirm of each message, as ``confirm_publish`` does; all are persistent.

    With ``delayed`` the topology of native delayed delivery is there too: 28 binary levels of quorum queues.
    """

    def __init__(self, url: str, queue: str, *, delayed: bool = False) -> None:
        self._connection = Connection(url, transport_options={"confirm_publish": True})
        self._queue = Queue(queue, Exchange(queue, type="topic"), routing_key=queue, queue_arguments=_QUORUM)
        self._name = queue
        channel = self._connection.default_channel
        self._queue.bind(channel).declare()
        if delayed:
            declare_native_delayed_delivery_exchanges_and_queues(self._connection, "quorum")
            bind_queue_to_native_delayed_delivery_exchange(self._connection, self._queue)
        self._producer = Producer(channel)

    def add(self, count: int) -> None:
        """Publish one by one: kombu has no batches."""
        for _ in range(count):
            self._publish(self._name, self._name)

    def add_delayed(self, count: int, longest_s: int) -> None:
        """Publish with a countdown, as Celery does on quorum queues; at the highest level, like Celery."""
        chance = random.Random(count)
        for _ in range(count):
            self._publish(level_name(MAX_LEVEL), calculate_routing_key(chance.randint(1, longest_s), self._name))

    def lateness(self, count: int, first_due_s: float, spread_s: float) -> list[float]:
        """How late, in seconds, messages arrive that fall due evenly over ``spread_s``, the first in ``first_due_s``.

        Its countdowns are whole seconds: a message's due time here is the end of the countdown it was given.
        """
        begun = time.time()
        for number in range(count):
            left = begun + first_due_s + spread_s * number / count - time.time()
            countdown = max(int(left), 1)
            key = calculate_routing_key(countdown, self._name)
            self._publish(level_name(MAX_LEVEL), key, {_DUE: f"{time.time() + countdown:.6f}"})
        late: list[float] = []

        def receive(message) -> None:  # noqa: ANN001 - kombu's Message
            late.append(time.time() - float(message.headers[_DUE]))
            message.ack()

        with self._connection.clone() as connection:
            consumer = Consumer(connection.default_channel, [self._queue], on_message=receive, prefetch_count=1000)
            with consumer:
                while len(late) < count:
                    connection.drain_events(timeout=120)
        return late

    def close(self) -> None:
        """Close the connection."""
        self._connection.release()

    def _publish(self, exchange: str, key: str, headers: dict[str, str] | None = None) -> None:
        self._producer.publish(
            PAYLOAD,
            exchange=exchange,
            routing_key=key,
            content_type="application/octet-stream",
            content_encoding="binary",
            delivery_mode=2,
            mandatory=True,
            headers=headers,
        )
