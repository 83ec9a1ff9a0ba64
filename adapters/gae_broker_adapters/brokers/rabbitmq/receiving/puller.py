"""Takes messages from queues without waiting for any; see `fetching` for how."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError, Error, SettingsError
from gae_broker.ports import Delivery
from gae_broker_adapters.brokers.rabbitmq.receiving import receipts
from gae_broker_adapters.brokers.rabbitmq.receiving.fetching import Fetch
from gae_broker_adapters.brokers.rabbitmq.receiving.receipts import Hand, tag_of
from gae_broker_adapters.brokers.rabbitmq.receiving.returning import Publish, Returner
from gae_broker_adapters.brokers.rabbitmq.topology import Names
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Inlet, connection_class
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location
from gae_broker_adapters.brokers.rabbitmq.wire.session import Listener, Session

_CLOSE_S = 8.0
_IDLE_CHANNELS = 8
"""A kind and queue keeps at most so many channels for the next calls."""


class BatchPuller:
    """`Puller` on one connection of its own.

    Args:
        location: where the broker is.
        names: the queues' names there.
        publish: as `Publisher.publish`, to put messages back where a return would count as a crash.
        deadline_s: how long a call may take.
    """

    def __init__(self, location: Location, names: Names, publish: Publish, deadline_s: float) -> None:
        self._location = location
        self._names = names
        self._deadline_s = deadline_s
        self._connection: SelectConnection | None = None
        self._called: set[Fetch] = set()
        self._waiting: deque[Fetch] = deque()
        self._running: set[Fetch] = set()
        self._idle: dict[str, list[tuple[Channel, Hand]]] = {}
        self._hands: set[Hand] = set()
        listener = Listener(self._opened, self._closed, failed=self._failed)
        self.session = Session(location, listener, "gae-broker-puller", connection_class())
        self._returner = Returner(self.session, publish)

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """As `Puller.get`."""
        fetch = Fetch(kind, queue, self._names.queue(kind, queue), limit, self._finished)
        self._called.add(fetch)
        self.session.start()
        self.session.run(partial(self._begin, fetch))
        try:
            return fetch.future.result(self._deadline_s)
        except FutureTimeout as exc:
            # Whatever came or still comes goes back: the caller will never know of it.
            self.session.run(partial(self._give_up, fetch))
            raise BrokerUnavailableError(
                f"RabbitMQ at {self._location} did not answer within {self._deadline_s:g} s: "
                f"{self.session.error or 'no reason known'}",
            ) from exc
        finally:
            self._called.discard(fetch)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.ack`."""
        self.session.run(partial(receipts.ack, deliveries))

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`."""
        self._returner.restore(deliveries)

    def close(self) -> None:
        """Put back what is held, as far as a few seconds allow, and close the connection. Idempotent."""
        if self._connection is not None:
            done = threading.Event()
            self.session.run(partial(self._put_all_back, done))
            done.wait(_CLOSE_S)
        self._returner.close()
        self.session.close()

    # ---- in the session's thread

    def _opened(self, connection: SelectConnection) -> None:
        self._connection = connection
        if isinstance(connection, Inlet):
            connection.read_much()
        waiting, self._waiting = self._waiting, deque()
        for fetch in waiting:
            self._begin(fetch)

    def _closed(self, _error: Exception) -> None:
        self._connection = None
        self._idle.clear()
        self._hands.clear()
        running, self._running = self._running, set()
        for fetch in running:
            fetch.begin_again()
            self._waiting.append(fetch)

    def _failed(self, error: Error) -> None:
        """Of no use to wait where every host refuses this client until a setting is changed."""
        if isinstance(error, SettingsError):
            for fetch in list(self._called):
                fetch.fail(type(error)(str(error)))

    def _begin(self, fetch: Fetch) -> None:
        if fetch.is_over:
            return
        if self._connection is None or not self._connection.is_open:
            self._waiting.append(fetch)
            return
        self._running.add(fetch)
        idle = self._idle.get(fetch.source, [])
        while idle:
            channel, hand = idle.pop()
            if channel.is_open:
                fetch.start(channel, hand)
                return
        self._connection.channel(on_open_callback=partial(self._start, fetch))

    def _start(self, fetch: Fetch, channel: Channel) -> None:
        if fetch.is_over:
            channel.close()
            return
        hand = Hand(fetch.kind, fetch.queue, channel)
        self._hands.add(hand)
        channel.add_on_close_callback(lambda *_: self._hands.discard(hand))
        # The queue was deleted while a batch was on its way; see `QueueSubscription` for why the channel must go.
        channel.add_on_cancel_callback(lambda _: hand.close())
        fetch.start(channel, hand)

    def _finished(self, fetch: Fetch, channel: Channel | None, hand: Hand | None) -> None:
        """The fetch needs its channel no more; ``None``: the channel is of no use."""
        self._running.discard(fetch)
        if channel is None or hand is None or not channel.is_open:
            return
        idle = self._idle.setdefault(fetch.source, [])
        if len(idle) < _IDLE_CHANNELS:
            idle.append((channel, hand))
        else:
            hand.close_when_empty()

    def _give_up(self, fetch: Fetch) -> None:
        if fetch in self._waiting:
            self._waiting.remove(fetch)
        for hand, tags in receipts.by_hand(fetch.give_up()).items():
            self._returner.give_back(hand, tags, hand.close_when_empty)

    def _put_all_back(self, done: threading.Event) -> None:
        hands = [hand for hand in self._hands if hand.is_open]
        left = len(hands)

        def one_done() -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                done.set()

        if not hands:
            done.set()
        for hand in hands:
            self._returner.give_back(hand, [tag_of(delivery) for delivery in hand.free()], one_done)
