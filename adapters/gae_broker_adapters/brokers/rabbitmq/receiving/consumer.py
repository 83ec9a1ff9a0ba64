"""Subscribes to push queues: one channel a subscription, all on one connection.

Single active consumer gives a queue's messages to one subscription at a time, but tells none of them which it is. So
a subscription first claims to be the owner (see `claiming`). Only the owner consumes; the others wait for its token.
Should a partition of the broker's nodes let two claims exist, single active consumer still lets one consume, and the
ledger's epoch tells the other.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from pika.adapters.select_connection import SelectConnection

from gae_broker.ports import Delivery, Sink, Subscription
from gae_broker_adapters.brokers.rabbitmq.receiving.claiming import Offers
from gae_broker_adapters.brokers.rabbitmq.receiving.returning import Publish, Returner
from gae_broker_adapters.brokers.rabbitmq.receiving.subscription import QueueSubscription, Service
from gae_broker_adapters.brokers.rabbitmq.topology import Names
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Inlet, connection_class
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location
from gae_broker_adapters.brokers.rabbitmq.wire.session import Listener, Session

_CLOSE_S = 8.0


class QueueConsumer:
    """`Consumer` on one connection of its own.

    Args:
        location: where the broker is.
        names: the queues' names there.
        publish: as `Publisher.publish`, to put messages back where a return would count as a crash.
    """

    def __init__(self, location: Location, names: Names, publish: Publish) -> None:
        self._names = names
        self._connection: SelectConnection | None = None
        self._subscriptions: set[QueueSubscription] = set()
        listener = Listener(self._opened, self._closed)
        self.session = Session(location, listener, "gae-broker-consumer", connection_class())
        self._returner = Returner(self.session, publish)
        self._offers = Offers(publish)
        self._service = Service(self.session.run, self._returner, self._offers, self._subscriptions.discard)

    def subscribe(self, queue: str, sink: Sink) -> Subscription:
        """As `Consumer.subscribe`."""
        subscription = QueueSubscription(queue, self._names, sink, self._service)
        self.session.start()
        self.session.run(lambda: self._add(subscription))
        return _Handle(self, subscription)

    def close(self) -> None:
        """Put back what is held, as far as a few seconds allow, and close the connection. Idempotent."""
        self._end(list(self._subscriptions))
        self._offers.close()
        self._returner.close()
        self.session.close()

    def close_subscription(self, subscription: QueueSubscription) -> None:
        """Put back what it holds, and let another one own the queue."""
        self._end([subscription])

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Subscription.restore`."""
        self._returner.restore(deliveries)

    def _end(self, subscriptions: Sequence[QueueSubscription]) -> None:
        left = threading.Semaphore(0)
        for subscription in subscriptions:
            self.session.run(partial(subscription.close, left.release))
        # Without a connection there is nothing to put back.
        if self._connection is None or self.session.is_own_thread:
            return
        for _ in subscriptions:
            if not left.acquire(timeout=_CLOSE_S):
                return

    # ---- in the session's thread

    def _opened(self, connection: SelectConnection) -> None:
        self._connection = connection
        if isinstance(connection, Inlet):
            connection.read_much()
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


class _Handle:
    """`Subscription` as the engine has it, from any thread."""

    def __init__(self, consumer: QueueConsumer, subscription: QueueSubscription) -> None:
        self._consumer = consumer
        self._subscription = subscription
        self._run = consumer.session.run
        self.ack_waits = False

    def demand(self, count: int) -> None:
        """As `Subscription.demand`."""
        self._subscription.announce(count)
        self._run(self._subscription.demand)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Subscription.ack`."""
        self._run(lambda: self._subscription.ack(deliveries))

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Subscription.restore`."""
        self._run(self._subscription.expect_returns)
        self._consumer.restore(deliveries)

    def close(self) -> None:
        """As `Subscription.close`."""
        self._consumer.close_subscription(self._subscription)
