"""Subscribes to push queues: one channel a subscription, all on one connection.

Single active consumer gives a queue's messages to one subscription at a time, but tells none of them which it is. So
a subscription first declares an exclusive queue, its claim to be the owner: there can be one of that name, and it ends
with the connection. Only the owner consumes; the others try again every second. Should a partition of the broker's
nodes let two claims exist, single active consumer still lets one consume. What was delivered beyond the demand waits
here, at most a prefetch of it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError
from gae_broker.ports import Delivery, Sink, Subscription
from gae_broker_adapters.brokers.rabbitmq import receipts
from gae_broker_adapters.brokers.rabbitmq.location import Location
from gae_broker_adapters.brokers.rabbitmq.session import Listener, Session
from gae_broker_adapters.brokers.rabbitmq.topology import Names

_log = logging.getLogger(__name__)
_LARGEST_PREFETCH = 5000
_CLAIM_AGAIN_S = 1.0
_LOCKED = 405
_CLOSED_BY_US = 0


class QueueConsumer:
    """`Consumer` on one connection of its own.

    Args:
        location: where the broker is.
        names: the queues' names there.
    """

    def __init__(self, location: Location, names: Names) -> None:
        self._names = names
        self._connection: SelectConnection | None = None
        self._subscriptions: set[QueueSubscription] = set()
        self.owners: dict[str, QueueSubscription] = {}
        """By queue; a connection may declare its own exclusive queue again, so it must know."""
        self.session = Session(location, Listener(self._opened, self._closed), "gae-broker-consumer")

    def subscribe(self, queue: str, sink: Sink) -> Subscription:
        """As `Consumer.subscribe`."""
        subscription = QueueSubscription(self, queue, self._names, sink)
        self.session.start()
        self.session.run(lambda: self._add(subscription))
        return subscription

    def close(self) -> None:
        """Close the connection; what is unacked comes back. Idempotent."""
        self.session.close()

    # ---- in the session's thread

    def _opened(self, connection: SelectConnection) -> None:
        self._connection = connection
        for subscription in list(self._subscriptions):
            subscription.open(connection)

    def _closed(self, error: Exception) -> None:
        self._connection = None
        for subscription in list(self._subscriptions):
            subscription.end(error)

    def _add(self, subscription: QueueSubscription) -> None:
        self._subscriptions.add(subscription)
        if self._connection is not None:
            subscription.open(self._connection)

    def forget(self, subscription: QueueSubscription) -> None:
        """Stop telling a subscription of connections."""
        self._subscriptions.discard(subscription)


class QueueSubscription:
    """`Subscription` on a channel of its own; consuming starts with the first demand."""

    def __init__(self, consumer: QueueConsumer, queue: str, names: Names, sink: Sink) -> None:
        self._consumer = consumer
        self._run = consumer.session.run
        self._queue = queue
        self._source = names.queue(Kind.PUSH, queue)
        self._claim_name = names.owner(queue)
        self._sink = sink
        self._channel: Channel | None = None
        self._buffer: deque[Delivery] = deque()
        self._demand = 0
        self._held = 0
        self._prefetch = 0
        self._tag = ""
        self._flushing = False
        self._claim: Channel | None = None
        self._ended = False

    def demand(self, count: int) -> None:
        """As `Subscription.demand`."""
        self._run(lambda: self._set_demand(count))

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Subscription.ack`."""
        receipts.ack(self._run, deliveries)
        self._run(lambda: self._let_go(len(deliveries)))

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Subscription.restore`."""
        receipts.restore(self._run, deliveries)
        self._run(lambda: self._let_go(len(deliveries)))

    def close(self) -> None:
        """As `Subscription.close`."""
        self._run(self._close)

    # ---- in the session's thread

    def open(self, connection: SelectConnection) -> None:
        """Use a new connection."""
        if not self._ended and connection.is_open:
            connection.channel(on_open_callback=self._claim_ownership)

    def end(self, error: Exception) -> None:
        """Tell the sink that the subscription is over."""
        if self._ended:
            return
        self._ended = True
        self._channel = None
        self._buffer.clear()
        self._consumer.forget(self)
        self._release_claim()
        self._sink.lost(BrokerUnavailableError(f"consuming queue {self._queue!r} from RabbitMQ ended: {error}"))

    def _claim_ownership(self, channel: Channel) -> None:
        if self._ended:
            channel.close()
            return
        channel.add_on_close_callback(self._claim_refused)
        if self._consumer.owners.setdefault(self._queue, self) is not self:
            channel.close()
            return
        channel.queue_declare(self._claim_name, exclusive=True, callback=lambda _: self._claim_granted(channel))

    def _claim_refused(self, channel: Channel, error: Exception) -> None:
        if self._consumer.owners.get(self._queue) is self:
            del self._consumer.owners[self._queue]
        if getattr(error, "reply_code", _LOCKED) not in (_LOCKED, _CLOSED_BY_US):
            self.end(error)
        elif not self._ended and channel.connection.is_open:
            channel.connection.ioloop.call_later(_CLAIM_AGAIN_S, lambda: self.open(channel.connection))

    def _claim_granted(self, channel: Channel) -> None:
        self._claim = channel
        channel.connection.channel(on_open_callback=self._channel_open)

    def _channel_open(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _, error: self.end(error))
        if self._ended:
            channel.close()
            return
        self._sink.owned(True)
        channel.add_on_cancel_callback(self._cancelled)
        self._consume()

    def _consume(self) -> None:
        """Consume with a prefetch that leaves room for the demand beside what is held.

        A consumer's prefetch cannot be changed, so a larger one means another consumer; it doubles at least, so that
        there are few of them.
        """
        needed = min(self._held + self._demand, _LARGEST_PREFETCH)
        if self._channel is None or not self._channel.is_open or not self._demand or needed <= self._prefetch:
            return
        self._prefetch = min(max(needed, 2 * self._prefetch), _LARGEST_PREFETCH)
        if self._tag:
            self._channel.basic_cancel(self._tag)
        self._channel.basic_qos(prefetch_count=self._prefetch)
        self._tag = self._channel.basic_consume(self._source, self._message)

    def _let_go(self, count: int) -> None:
        self._held = max(self._held - count, 0)

    def _cancelled(self, _frame: object) -> None:
        # RabbitMQ 4.3 parks a consumer it cancelled (consumer timeout) until a cancel-ok that pika never sends: the
        # queue would deliver to nobody. Only closing the channel helps.
        _log.warning("RabbitMQ cancelled the consumer of queue %s; starting again on a new channel", self._queue)
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def _set_demand(self, count: int) -> None:
        self._demand = count
        self._consume()
        self._flush()

    def _message(
        self,
        channel: Channel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        self._buffer.append(receipts.delivery(Kind.PUSH, self._queue, channel, method, properties, body))
        if not self._flushing:
            # After what else this read brought: one batch instead of many.
            self._flushing = True
            channel.connection.ioloop.add_callback(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._ended or not self._demand or not self._buffer:
            return
        batch = [self._buffer.popleft() for _ in range(min(self._demand, len(self._buffer)))]
        self._demand -= len(batch)
        self._held += len(batch)
        self._sink.deliver(batch)

    def _close(self) -> None:
        self._ended = True
        self._buffer.clear()
        self._consumer.forget(self)
        if self._channel is not None and self._channel.is_open:
            self._channel.close()
        self._release_claim()

    def _release_claim(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None and claim.is_open:
            claim.queue_delete(self._claim_name, callback=lambda _: claim.close())
