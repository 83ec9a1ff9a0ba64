"""A subscription's claim to own its queue: whoever holds the token does, and there is one receiver of tokens.

Each push queue has a quorum queue beside it with a single active consumer and a token in it, a message without content.
All subscriptions consume from it; the broker gives the token to one of them, and to the next when that one's channel,
connection or node is gone. (An exclusive queue would be simpler. But since 4.2 RabbitMQ keeps those of a node that is
down, locked, until the node is back: rabbitmq-server #14573.)

Tokens are not counted: the queue has one receiver, and keeps one token at most that nobody holds. So whoever waits may
offer another one from time to time, which makes the first and mends a queue that was purged. An owner puts its token
back, and gets it again, long before the broker takes it for forgotten.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker_adapters.brokers.rabbitmq.receiving.returning import Publish
from gae_broker_adapters.brokers.rabbitmq.topology import owner_key

_log = logging.getLogger(__name__)
_AGAIN_S = 1.0
_LONGEST_S = 30.0
_OFFER_S = 5.0
_RENEW_S = 600.0
"""RabbitMQ's consumer timeout is 30 minutes; before 3.12 no queue can have one of its own."""
_NOT_FOUND = 404
_DEADLINE_S = 5.0


class Offers:
    """Puts tokens into queues, on the publisher's connection: an alarm stops one that publishes, acks included.

    Args:
        publish: as `Publisher.publish`.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._is_busy = False
        self._helper: ThreadPoolExecutor | None = None
        self._is_closed = False

    def add(self, queue: str) -> None:
        """Put a token into a queue soon, from any thread; it does not matter whether that succeeds."""
        with self._lock:
            if self._is_closed:
                return
            self._wanted.add(queue)
            if self._is_busy:
                return
            self._is_busy = True
            if self._helper is None:
                self._helper = ThreadPoolExecutor(1, thread_name_prefix="gae-broker-offers")
            self._helper.submit(self._put)

    def close(self) -> None:
        """Let go of the helping thread. Idempotent."""
        with self._lock:
            self._is_closed = True
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.shutdown(wait=False)

    def _put(self) -> None:
        while True:
            with self._lock:
                queues, self._wanted = self._wanted, set()
                if not queues:
                    self._is_busy = False
                    return
            try:
                self._publish([_token(queue) for queue in queues], _DEADLINE_S)
            except Exception as exc:  # noqa: BLE001 - it is tried again, as long as a token is missing
                _log.info("no tokens were put into the queues of owners: %s", exc)


def _token(queue: str) -> Message:
    return Message(secrets.token_hex(16), Kind.PUSH, owner_key(queue), "token", 0, "", b"")


class Claim:
    """One subscription's claim. Lives in the session's thread.

    Args:
        queue: the App Engine queue's name.
        name: that of the queue with the token.
        offers: where missing tokens come from.
        granted: called when the queue is owned.
        lost: called when it is not any more, though the connection is there.
    """

    def __init__(
        self,
        queue: str,
        name: str,
        offers: Offers,
        granted: Callable[[SelectConnection], None],
        lost: Callable[[Exception], None],
    ) -> None:
        self._queue = queue
        self._name = name
        self._offers = offers
        self._granted = granted
        self._lost = lost
        self._channel: Channel | None = None
        self._is_granted = False
        self._is_cancelled = False
        self._is_released = False
        self._wait_s = _AGAIN_S
        self._fault = ""

    def seek(self, connection: SelectConnection) -> None:
        """Claim on this connection, again and again until it is granted."""
        if not self._is_released and connection.is_open:
            connection.channel(on_open_callback=self._opened)

    def release(self) -> None:
        """Let others own the queue. Idempotent."""
        self._is_released = True
        channel, self._channel = self._channel, None
        if channel is not None and channel.is_open:
            channel.close()

    def _opened(self, channel: Channel) -> None:
        if self._is_released:
            channel.close()
            return
        self._channel, self._is_cancelled = channel, False
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(lambda _: self._cancelled(channel))
        channel.basic_qos(prefetch_count=1)
        tag = f"{socket.gethostname()}:{os.getpid()}"  # of a channel's only consumer; for the broker's console
        channel.basic_consume(self._name, self._received, consumer_tag=tag, callback=lambda _: self._wait(channel))

    def _uses(self, channel: Channel) -> bool:
        return self._channel is not None and channel is self._channel and bool(channel.is_open)

    def _wait(self, channel: Channel) -> None:
        if not self._uses(channel) or self._is_granted:
            return
        self._wait_s, self._fault = _AGAIN_S, ""
        self._offers.add(self._queue)
        # Jitter: or all standbys would offer in the same moment, for ever.
        channel.connection.ioloop.call_later(_OFFER_S * random.uniform(0.5, 1.5), lambda: self._wait(channel))  # noqa: S311

    def _received(self, channel: Channel, method: pika.spec.Basic.Deliver, *_: object) -> None:
        if not self._uses(channel):
            return
        channel.connection.ioloop.call_later(_RENEW_S, lambda: self._renew(channel, method.delivery_tag or 0))
        if not self._is_granted:
            self._is_granted = True
            self._granted(channel.connection)

    def _renew(self, channel: Channel, tag: int) -> None:
        if self._uses(channel):
            channel.basic_nack(tag, requeue=True)

    def _cancelled(self, channel: Channel) -> None:
        self._is_cancelled = True
        if channel.is_open:
            channel.close()

    def _closed(self, channel: Channel, error: Exception) -> None:
        """The broker closed the channel, or cancelled the consumer: the queue was deleted, for instance."""
        self._channel = None
        if self._is_released or not channel.connection.is_open:
            return
        if self._is_granted:
            ended = f"its claim in {self._name!r} ended: {error}"
            self._lost(RuntimeError(f"RabbitMQ cancelled its claim in {self._name!r}" if self._is_cancelled else ended))
            return
        self._wait_s = min(self._wait_s * 2, _LONGEST_S)
        if str(error) != self._fault:
            self._fault = str(error)
            advice = "; run `gae-broker deploy queue.yaml`" if getattr(error, "reply_code", 0) == _NOT_FOUND else ""
            _log.warning("queue %s cannot be served from here, trying again: %s%s", self._queue, error, advice)
        wait_s = self._wait_s * random.uniform(0.5, 1.0)  # noqa: S311
        channel.connection.ioloop.call_later(wait_s, lambda: self.seek(channel.connection))
