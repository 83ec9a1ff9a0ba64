"""One batch out of one queue, without waiting for messages that are not there.

pika allows one outstanding ``basic.get`` a channel, about a thousand messages a second. The first one tells how many
more are there; a short-lived consumer with just that prefetch brings them in one round trip. What it counted may be
taken by others meanwhile, so the wait for them ends soon: then the consumer is cancelled, and what the broker sent
before it confirmed that is the batch. (A consumer alone, cancelled at once, would save the first round trip; but of a
cluster's follower nodes the deliveries may come after the confirmation.)
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import pika
from pika.channel import Channel

from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError, PermissionDeniedError, UnknownQueueError
from gae_broker.ports import Delivery
from gae_broker_adapters.brokers.rabbitmq.receiving.receipts import Hand, tag_of
from gae_broker_adapters.brokers.rabbitmq.wire import failures
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Content, Inlet

_REFUSED, _NOT_FOUND = 403, 404
_STRAGGLER_S = 0.2
"""How long a batch waits for a next message of those that the broker counted."""


class Fetch:
    """One call of `Puller.get`; all but ``future`` and the attributes lives in the session's thread.

    Args:
        kind, queue: whose messages.
        source: the queue's name in the broker.
        limit: how many at most.
        finished: called once with the channel and hand to use again, or with ``None``.
    """

    def __init__(
        self,
        kind: Kind,
        queue: str,
        source: str,
        limit: int,
        finished: Callable[[Fetch, Channel | None, Hand | None], None],
    ) -> None:
        self.future: Future[list[Delivery]] = Future()
        self.kind = kind
        self.queue = queue
        self.source = source
        self._limit = limit
        self._finished = finished
        self._taken: list[Delivery] = []
        self._wanted = 1
        self._tag: str | None = None
        self._channel: Channel | None = None
        self._hand: Hand | None = None
        self._given_up = False

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._given_up or self.future.done()

    def start(self, channel: Channel, hand: Hand) -> None:
        """Begin, on a channel that nobody else uses until this is finished."""
        self._channel, self._hand = channel, hand
        channel.add_on_close_callback(self._channel_closed)
        channel.add_callback(self._empty, [pika.spec.Basic.GetEmpty])
        channel.basic_get(self.source, self._first)

    def begin_again(self) -> None:
        """The connection ended, and all that was delivered is back in the queue: be ready for another `start`."""
        self._taken, self._wanted, self._tag = [], 1, None
        self._channel = self._hand = None

    def fail(self, error: Exception) -> None:
        """End without a batch; all that was delivered is back in the queue."""
        if not self.is_over:
            self.future.set_exception(error)
        self._finished(self, None, None)

    def give_up(self) -> list[Delivery]:
        """End because nobody waits any more; what was delivered so far. The channel must not be used again.

        A batch that was complete in the same moment is delivered to nobody too.
        """
        self._given_up = True
        self._finished(self, None, None)
        if self._tag is not None:
            self._cancel()
        if self._hand is not None:
            self._hand.close_when_empty()
        return self._taken

    # ----

    def _empty(self, _frame: object) -> None:
        self._complete()
        self._release()

    def _first(
        self,
        channel: Channel,
        method: pika.spec.Basic.GetOk,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        self._take([(method.delivery_tag, properties, body)])
        more = min(self._limit - 1, method.message_count)
        if self._given_up:
            return
        if more <= 0:
            self._complete()
            self._release()
            return
        self._wanted += more
        channel.basic_qos(prefetch_count=more)
        if isinstance(channel.connection, Inlet):
            channel.connection.take(channel.channel_number, self._take)
        self._tag = channel.basic_consume(self.source, self._one, callback=lambda _: self._watch())

    def _one(
        self,
        _channel: Channel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        """A delivery as pika hands it out."""
        self._take([(method.delivery_tag, properties, body)])

    def _take(self, contents: list[Content]) -> None:
        if self._hand is None:
            return
        received = self._hand.receive(contents)
        if self._given_up:
            self._hand.put_back(map(tag_of, received))
            return
        self._taken += received
        if len(self._taken) == self._wanted and self._tag is not None:
            self._cancel()
            self._complete()  # before the broker has confirmed that: no more can come of that prefetch

    def _watch(self) -> None:
        """Cancel once nothing has come for a while: another consumer was faster."""
        if self._tag is not None and self._channel is not None:
            look = partial(self._look, len(self._taken))
            self._channel.connection.ioloop.call_later(_STRAGGLER_S, look)

    def _look(self, seen: int) -> None:
        if len(self._taken) == seen:
            self._cancel()
        else:
            self._watch()

    def _cancel(self) -> None:
        tag, self._tag = self._tag, None
        if tag is not None and self._channel is not None and self._channel.is_open:
            self._channel.basic_cancel(tag, callback=lambda _: self._cancelled())

    def _cancelled(self) -> None:
        self._complete()
        self._release()

    def _complete(self) -> None:
        if not self.is_over:
            self._taken.sort(key=lambda one: (one.message.due_us, one.message.key))
            self.future.set_result(self._taken)

    def _release(self) -> None:
        channel = self._channel
        if channel is None or self._given_up:
            return
        if isinstance(channel.connection, Inlet):
            channel.connection.take(channel.channel_number, None)
        # Or the next user of the channel would be told of its end twice.
        channel.callbacks.remove(channel.channel_number, "_on_channel_close", self._channel_closed)
        channel.callbacks.remove(channel.channel_number, pika.spec.Basic.GetEmpty, self._empty)
        self._finished(self, channel, self._hand)

    def _channel_closed(self, channel: Channel, error: Exception) -> None:
        if not channel.connection.is_open:
            return  # see `begin_again`
        code, reason = getattr(error, "reply_code", 0), failures.text(error)
        if code == _NOT_FOUND:
            text = f"RabbitMQ has no {self.kind} queue {self.queue!r}: run `gae-broker deploy queue.yaml`"
            self.fail(UnknownQueueError(text))
        elif code == _REFUSED:
            text = f"RabbitMQ does not let this user take tasks from {self.kind} queue {self.queue!r}: {reason}"
            self.fail(PermissionDeniedError(f"{text}; docs/how-to/permissions.md has what a worker needs"))
        else:
            self.fail(
                BrokerUnavailableError(f"RabbitMQ closed the channel of {self.kind} queue {self.queue!r}: {reason}")
            )
