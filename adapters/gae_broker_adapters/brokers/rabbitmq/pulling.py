"""Takes messages from queues without waiting for any.

pika allows one outstanding ``basic.get`` a channel, about a thousand messages a second. The first one tells how many
more are there; a short-lived consumer with just that prefetch brings them in one round trip.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError, UnknownQueueError
from gae_broker.ports import Delivery
from gae_broker_adapters.brokers.rabbitmq import receipts
from gae_broker_adapters.brokers.rabbitmq.location import Location
from gae_broker_adapters.brokers.rabbitmq.session import Listener, Session
from gae_broker_adapters.brokers.rabbitmq.topology import Names

_NOT_FOUND = 404
_STRAGGLER_S = 0.05
"""How long a batch waits for messages that the broker counted and another consumer took meanwhile."""


class BatchPuller:
    """`Puller` on one connection of its own.

    Args:
        location: where the broker is.
        names: the queues' names there.
        deadline_s: how long a call may take.
    """

    def __init__(self, location: Location, names: Names, deadline_s: float) -> None:
        self._location = location
        self._names = names
        self._deadline_s = deadline_s
        self._idle: list[Channel] = []
        self._connection: SelectConnection | None = None
        self._fetches: set[_Fetch] = set()
        self.session = Session(location, Listener(self._opened, self._closed), "gae-broker-puller")

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """As `Puller.get`."""
        fetch = _Fetch(kind, queue, self._names.queue(kind, queue), limit, self._finished)
        self.session.start()
        self.session.run(lambda: self._begin(fetch))
        try:
            return fetch.future.result(self._deadline_s)
        except FutureTimeout as exc:
            # The session's thread closes the channel, so that whatever still comes goes back at once.
            self.session.run(fetch.give_up)
            raise BrokerUnavailableError(
                f"RabbitMQ at {self._location} did not answer within {self._deadline_s:g} s: "
                f"{self.session.error or 'no reason known'}",
            ) from exc

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""
        receipts.ack(self.session.run, deliveries)

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""
        receipts.restore(self.session.run, deliveries)

    def close(self) -> None:
        """Close the connection; what is unacked comes back. Idempotent."""
        self.session.close()

    # ---- in the session's thread

    def _opened(self, connection: SelectConnection) -> None:
        self._connection = connection

    def _closed(self, error: Exception) -> None:
        self._connection = None
        self._idle.clear()
        for fetch in list(self._fetches):
            fetch.fail(BrokerUnavailableError(f"RabbitMQ at {self._location} ended the connection: {error}"))

    def _begin(self, fetch: _Fetch) -> None:
        if self._connection is None or fetch.future.done():
            if not fetch.future.done():
                fetch.fail(BrokerUnavailableError(f"RabbitMQ at {self._location} is not connected"))
            return
        self._fetches.add(fetch)
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                fetch.start(channel)
                return
        self._connection.channel(on_open_callback=fetch.start)

    def _finished(self, fetch: _Fetch, channel: Channel | None) -> None:
        self._fetches.discard(fetch)
        if channel is not None and channel.is_open:
            self._idle.append(channel)


class _Fetch:
    """One call of `BatchPuller.get`; all but its future lives in the session's thread."""

    def __init__(
        self,
        kind: Kind,
        queue: str,
        source: str,
        limit: int,
        finished: Callable[[_Fetch, Channel | None], None],
    ) -> None:
        self.future: Future[list[Delivery]] = Future()
        self._kind = kind
        self._queue = queue
        self._source = source
        self._limit = limit
        self._finished = finished
        self._taken: list[Delivery] = []
        self._wanted = 1
        self._seen = 0
        self._tag: str | None = None
        self._channel: Channel | None = None
        self._guard = threading.Lock()

    def start(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_callback(self._empty, [pika.spec.Basic.GetEmpty])
        channel.basic_get(self._source, self._first)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
        self._finished(self, None)

    def give_up(self) -> None:
        if self._channel is not None and self._channel.is_open:
            self._channel.close()
        self._finished(self, None)

    def _empty(self, _frame: object) -> None:
        self._complete()

    def _first(
        self,
        channel: Channel,
        method: pika.spec.Basic.GetOk,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        self._take(channel, method, properties, body)
        more = min(self._limit - 1, method.message_count)
        if more <= 0:
            self._complete()
            return
        self._wanted += more
        channel.basic_qos(prefetch_count=more)
        self._tag = channel.basic_consume(self._source, self._next)
        self._watch(0)

    def _next(
        self,
        channel: Channel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        self._take(channel, method, properties, body)
        if len(self._taken) == self._wanted:
            self._cancel()

    def _take(self, channel: Channel, method: receipts.Method, properties: pika.BasicProperties, body: bytes) -> None:
        self._taken.append(receipts.delivery(self._kind, self._queue, channel, method, properties, body))

    def _watch(self, seen: int) -> None:
        """Cancel once nothing has come for a while: another consumer was faster."""
        channel = self._channel
        if self._tag is None or channel is None or not channel.is_open:
            return
        if seen and seen == len(self._taken):
            self._cancel()
            return
        now = len(self._taken)
        channel.connection.ioloop.call_later(_STRAGGLER_S, lambda: self._watch(now))

    def _cancel(self) -> None:
        tag, self._tag = self._tag, None
        if tag is not None and self._channel is not None:
            self._channel.basic_cancel(tag, callback=lambda _: self._complete())

    def _complete(self) -> None:
        channel = self._channel
        if channel is not None:
            # Or the next user of the channel would be told of its end twice.
            channel.callbacks.remove(channel.channel_number, "_on_channel_close", self._channel_closed)
            channel.callbacks.remove(channel.channel_number, pika.spec.Basic.GetEmpty, self._empty)
        if not self.future.done():
            self._taken.sort(key=lambda one: (one.message.due_us, one.message.key))
            self.future.set_result(self._taken)
        self._finished(self, channel)

    def _channel_closed(self, _channel: Channel, error: Exception) -> None:
        code = getattr(error, "reply_code", 0)
        if code == _NOT_FOUND:
            self.fail(
                UnknownQueueError(
                    f"RabbitMQ has no {self._kind} queue {self._queue!r}: run `gae-broker deploy queue.yaml`",
                ),
            )
        else:
            self.fail(
                BrokerUnavailableError(f"RabbitMQ closed the channel of {self._kind} queue {self._queue!r}: {error}")
            )
