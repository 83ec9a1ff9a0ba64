"""Publishes messages and waits for RabbitMQ's confirms, many at a time.

Any thread may publish. It encodes its messages, hands them to the thread of the one connection and waits for their
confirms, under a deadline. What was written when the connection ended is reported as not known to be stored; what was
not written yet waits for the next connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method

from gae_broker.domain.message import Message
from gae_broker.errors import BrokerBlockedError, BrokerUnavailableError, ConfirmTimeoutError, Error, SettingsError
from gae_broker_adapters.brokers.rabbitmq.publishing import batches, refusals
from gae_broker_adapters.brokers.rabbitmq.publishing.batches import Batch, Part, Route
from gae_broker_adapters.brokers.rabbitmq.publishing.unconfirmed import Unconfirmed
from gae_broker_adapters.brokers.rabbitmq.wire import failures
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Inlet, connection_class
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location
from gae_broker_adapters.brokers.rabbitmq.wire.outlet import Outlet, abort, new_gate, open_outlet
from gae_broker_adapters.brokers.rabbitmq.wire.session import Listener, Session

_NAME = "gae-broker-publisher"
_PART = 32
"""Messages that are handed over at a time."""


class ConfirmedPublisher:
    """`Publisher` on one connection of its own.

    Args:
        location: where the broker is.
        route: the exchange and the routing key of a message, as of now; called in any thread.
    """

    def __init__(self, location: Location, route: Route) -> None:
        self._location = location
        self._route = route
        self._waiting: deque[Part] = deque()
        self._unconfirmed = Unconfirmed()
        self._outlet: Outlet | None = None
        self._connection: SelectConnection | None = None
        self._gate = new_gate()
        self._blocked = ""
        self._ended = False
        listener = Listener(self._opened, self._closed, self._block, self._failed)
        self.session = Session(location, listener, _NAME, connection_class())

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        """As `Publisher.publish`.

        While every host refuses this client until a setting is changed, each answer is a `SettingsError`, at once: that
        of the latest attempt to connect, of which there is one every few seconds.
        """
        if not messages:
            return []
        batch = Batch(messages)
        try:
            for start in range(0, len(messages), _PART):
                # In parts, so that the broker begins with the first while the next is encoded.
                self._hand_over(Part(batch, range(start, min(start + _PART, len(messages)))))
            error = self._refusal() or self._wait(batch, deadline_s)
        finally:
            batch.abandoned = True
        return batch.answer(error)

    def _hand_over(self, part: Part) -> None:
        """Write a part at once if nobody else's is on its way, else let it wait.

        At once is sooner; but of many callers each would wake up the broker and, with its confirm, this process. What
        waits is written together.
        """
        outlet = self._outlet
        if outlet is not None:
            part.encode(outlet, self._route)
            if outlet.any_thread and not self._waiting and self._gate.acquire(blocking=False):
                try:
                    if outlet is self._outlet and not self._blocked and self._unconfirmed.only(part.batch):
                        self._emit(outlet, [part])
                        return
                finally:
                    self._gate.release()
        self._waiting.append(part)

    def _emit(self, outlet: Outlet, parts: Sequence[Part]) -> None:
        """Write parts that are encoded for this outlet, holding the gate."""
        encoded: list[object] = []
        try:
            for part in parts:
                self._unconfirmed.add(part.batch, part.indices)
                encoded += part.encoded or ()
            outlet.write(encoded)
        except BaseException:
            # Interrupted, by a signal for instance: from here on the broker's numbers and ours may differ.
            self._outlet = None
            self.session.run(self._abort)
            raise

    def _wait(self, batch: Batch, deadline_s: float) -> Error | None:
        """Wait for a batch that was handed over; why the rest of it is not settled."""
        try:
            self.session.start()
        except BrokerUnavailableError as exc:
            return exc
        if self._waiting:
            self.session.wake(self._write)
        return None if batch.wait(deadline_s) else self._refusal() or self._overdue(deadline_s)

    def close(self) -> None:
        """Close the connection; whoever still waits is told. Idempotent."""
        self._ended = True
        self.session.close()
        self._dismiss()

    def _refusal(self) -> Error | None:
        """Why waiting is in vain, ``None`` where it may help; an object of its own for each call."""
        if self._ended:
            return BrokerUnavailableError(f"the connection to RabbitMQ at {self._location} was closed by this program")
        error = self.session.error
        return SettingsError(str(error)) if isinstance(error, SettingsError) else None

    def _overdue(self, deadline_s: float) -> Error:
        if self._blocked:
            return BrokerBlockedError(
                f"RabbitMQ at {self._location} has taken no messages for {deadline_s:g} s or more, as an alarm is "
                f"raised there ({self._blocked}): free memory or disk. The task may be stored when it goes on",
            )
        if self._outlet is None:
            return BrokerUnavailableError(
                f"no connection within {deadline_s:g} s: "
                f"{self.session.error or f'still connecting to RabbitMQ at {self._location}'}",
            )
        return ConfirmTimeoutError(
            f"RabbitMQ at {self._location} did not confirm within {deadline_s:g} s; the task may be stored, and "
            "adding it again may store it twice. Is the broker overloaded, or a majority of its nodes down?",
        )

    # ---- in the session's thread

    def _opened(self, connection: SelectConnection) -> None:
        self._connection = connection
        connection.channel(on_open_callback=self._channel_open)

    def _channel_open(self, channel: Channel) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.add_on_close_callback(self._channel_closed)
        if isinstance(channel.connection, Inlet):
            channel.connection.take_confirms(channel.channel_number, self._confirmed)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Channel) -> None:
        self._outlet = open_outlet(channel, self._gate)
        self._write()

    def _failed(self, error: Error) -> None:
        if isinstance(error, SettingsError):
            self._dismiss()

    def _closed(self, error: Exception) -> None:
        self._connection, self._blocked = None, ""
        self._lose(self._take_unconfirmed(), failures.text(error))
        if self._ended:
            self._dismiss()

    def _block(self, reason: str) -> None:
        self._blocked = reason
        if not reason:
            self._write()

    def _channel_closed(self, channel: Channel, error: Exception) -> None:
        """RabbitMQ closes a channel for one message that it objects to; those after it are written again."""
        if not isinstance(error, ChannelClosedByBroker):
            return  # the connection has ended, and `_closed` follows
        found = batches.aftermath(self._take_unconfirmed(), refusals.objection(error, self._route))
        self._lose(found.unknown, refusals.reason(error))
        for batch, index in found.guilty:
            batch.settle(index, refusals.verdict(error, batch.messages[index], self._location))
        self._waiting.extendleft(reversed(batches.parts(found.innocent)))
        channel.connection.channel(on_open_callback=self._channel_open)

    def _take_unconfirmed(self) -> list[tuple[Batch, int]]:
        """The channel is gone."""
        with self._gate:
            self._outlet = None
            return self._unconfirmed.take()

    def _lose(self, messages: Iterable[tuple[Batch, int]], reason: str) -> None:
        """These were written, and may be stored or not. Each batch gets an error object of its own."""
        told: dict[Batch, Error] = {}
        for batch, index in messages:
            if batch not in told:
                told[batch] = BrokerUnavailableError(
                    f"RabbitMQ at {self._location} ended the connection before it confirmed: {reason}; the task may "
                    "be stored, and adding it again may store it twice",
                )
            batch.settle(index, told[batch])

    def _dismiss(self) -> None:
        """Tell whoever waits that it is in vain."""
        while self._waiting:
            part = self._waiting.popleft()
            error = self._refusal()
            for index in part.indices:
                part.batch.settle(index, error)

    def _abort(self) -> None:
        if self._connection is not None:
            abort(self._connection)

    def _write(self) -> None:
        """Write what waits, the parts of many callers at once."""
        with self._gate:
            while self._outlet is not None and not self._blocked and self._waiting:
                self._emit(self._outlet, self._gather(self._outlet))

    def _gather(self, outlet: Outlet) -> list[Part]:
        """Take what waits, encoded for an outlet."""
        parts = []
        while self._waiting:
            part = self._waiting.popleft()
            if part.batch.abandoned:
                continue
            if part.encoded is None or part.cut != outlet.cut:
                part.encode(outlet, self._route)
            parts.append(part)
        return parts

    def _on_return(
        self,
        _channel: Channel,
        _method: pika.spec.Basic.Return,
        properties: pika.BasicProperties,
        _body: bytes,
    ) -> None:
        self._unconfirmed.returned(properties.message_id)

    def _on_confirm(self, frame: Method) -> None:
        method = frame.method
        self._confirmed(method.delivery_tag, method.multiple, isinstance(method, pika.spec.Basic.Nack))

    def _confirmed(self, tag: int, multiple: bool, refused: bool) -> None:
        with self._gate:
            tags = self._unconfirmed.tags(tag, multiple=multiple)
        self._unconfirmed.confirm(tags, refused=refused)
