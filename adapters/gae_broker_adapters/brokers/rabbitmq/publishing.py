"""Publishes messages and waits for RabbitMQ's confirms, many at a time.

Any thread may publish; each waits for the confirms of its own batch only. Messages that were written when the
connection ended are reported as not known to be stored; those not written yet wait for the next connection.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.frame import Method

from gae_broker.domain.message import Message
from gae_broker.errors import (
    BrokerBlockedError,
    BrokerUnavailableError,
    ConfirmTimeoutError,
    PublishRejectedError,
    UnknownQueueError,
)
from gae_broker_adapters.brokers.rabbitmq import envelope
from gae_broker_adapters.brokers.rabbitmq.location import Location
from gae_broker_adapters.brokers.rabbitmq.session import Listener, Session

Route = Callable[[Message], tuple[str, str]]


@dataclass(slots=True, eq=False)
class _Batch:
    """One call's messages, and what became of each."""

    messages: Sequence[Message]
    results: list[Exception | None]
    open: set[int]
    done: threading.Event = field(default_factory=threading.Event)
    written: int = 0
    abandoned: bool = False

    def settle(self, index: int, error: Exception | None) -> None:
        self.results[index] = error
        self.open.discard(index)
        if not self.open:
            self.done.set()


class ConfirmedPublisher:
    """`Publisher` on one connection of its own.

    Args:
        location: where the broker is.
        route: the exchange and the routing key of a message, as of now.
    """

    def __init__(self, location: Location, route: Route) -> None:
        self._location = location
        self._route = route
        self._waiting: deque[_Batch] = deque()
        self._unconfirmed: dict[int, tuple[_Batch, int]] = {}
        self._returned: dict[str, str] = {}
        self._channel: Channel | None = None
        self._next_tag = 1
        self._blocked = ""
        self.session = Session(
            location,
            Listener(self._opened, self._closed, self._block),
            "gae-broker-publisher",
        )

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """As `Publisher.publish`."""
        if not messages:
            return []
        batch = _Batch(messages, [None] * len(messages), set(range(len(messages))))
        self.session.start()
        self.session.run(lambda: self._take(batch))
        if not batch.done.wait(deadline_s):
            batch.abandoned = True
            error = self._overdue(deadline_s)
            # Whatever is settled in this moment by the other thread stays as it is.
            for index in list(batch.open):
                batch.settle(index, error)
        return batch.results

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self.session.close()

    def _overdue(self, deadline_s: float) -> Exception:
        if self._blocked:
            return BrokerBlockedError(
                f"RabbitMQ at {self._location} accepts no messages now ({self._blocked}); free memory or disk there",
            )
        if self.session.error is not None or self._channel is None:
            return BrokerUnavailableError(
                f"RabbitMQ at {self._location} could not be reached within {deadline_s:g} s: "
                f"{self.session.error or 'still connecting'}",
            )
        return ConfirmTimeoutError(
            f"RabbitMQ at {self._location} did not confirm within {deadline_s:g} s; the task may have been enqueued",
        )

    # ---- in the session's thread

    def _take(self, batch: _Batch) -> None:
        self._waiting.append(batch)
        self._write()

    def _opened(self, connection: SelectConnection) -> None:
        self._blocked = ""
        connection.channel(on_open_callback=self._channel_open)

    def _channel_open(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.add_on_close_callback(self._channel_closed)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Channel) -> None:
        self._channel = channel
        self._next_tag = 1
        self._write()

    def _channel_closed(self, channel: Channel, error: Exception) -> None:
        self._lose(error)
        if channel.connection.is_open:
            channel.connection.channel(on_open_callback=self._channel_open)

    def _closed(self, error: Exception) -> None:
        self._blocked = ""
        self._lose(error)

    def _lose(self, error: Exception) -> None:
        """The channel is gone: what was written and not confirmed may be stored or not."""
        self._channel = None
        self._returned.clear()
        lost, self._unconfirmed = self._unconfirmed, {}
        for batch, index in lost.values():
            text = f"RabbitMQ at {self._location} ended the connection before it confirmed: {error}"
            batch.settle(index, BrokerUnavailableError(text))

    def _block(self, reason: str) -> None:
        self._blocked = reason
        if not reason:
            self._write()

    def _write(self) -> None:
        while self._waiting and self._channel is not None and not self._blocked:
            batch = self._waiting[0]
            while batch.written < len(batch.messages) and not batch.abandoned:
                self._write_one(self._channel, batch, batch.written)
                batch.written += 1
            self._waiting.popleft()

    def _write_one(self, channel: Channel, batch: _Batch, index: int) -> None:
        message = batch.messages[index]
        exchange, key = self._route(message)
        channel.basic_publish(exchange, key, message.body, envelope.properties(message), mandatory=True)
        self._unconfirmed[self._next_tag] = (batch, index)
        self._next_tag += 1

    def _on_return(
        self,
        _channel: Channel,
        method: pika.spec.Basic.Return,
        properties: pika.BasicProperties,
        _body: bytes,
    ) -> None:
        # A return comes before the ack of the same message.
        self._returned[properties.message_id] = method.reply_text

    def _on_confirm(self, frame: Method) -> None:
        method = frame.method
        refused = isinstance(method, pika.spec.Basic.Nack)
        if not method.multiple:
            self._settle(method.delivery_tag, refused=refused)
            return
        covered = []
        for tag in self._unconfirmed:  # in the order of publishing
            if tag > method.delivery_tag:
                break
            covered.append(tag)
        for tag in covered:
            self._settle(tag, refused=refused)

    def _settle(self, tag: int, *, refused: bool) -> None:
        entry = self._unconfirmed.pop(tag, None)
        if entry is None:
            return
        batch, index = entry
        message = batch.messages[index]
        error: Exception | None = None
        if self._returned and self._returned.pop(message.copy_id, None) is not None:
            error = UnknownQueueError(
                f"RabbitMQ has no {message.kind} queue {message.queue!r}: run `gae-broker deploy queue.yaml`",
            )
        elif refused:
            error = PublishRejectedError(f"RabbitMQ refused task {message.key!r} for queue {message.queue!r}")
        batch.settle(index, error)
