"""One subscription, as it lives in the session's thread: claim, channel, consumer, and what waits at hand."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError
from gae_broker.ports import Delivery, Sink
from gae_broker_adapters.brokers.rabbitmq.receiving import receipts
from gae_broker_adapters.brokers.rabbitmq.receiving.claiming import Claim, Offers
from gae_broker_adapters.brokers.rabbitmq.receiving.pace import IDLE_S, Pace
from gae_broker_adapters.brokers.rabbitmq.receiving.receipts import Hand, tag_of
from gae_broker_adapters.brokers.rabbitmq.receiving.returning import Returner
from gae_broker_adapters.brokers.rabbitmq.topology import Names
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Content, Inlet

_log = logging.getLogger(__name__)
_LOOK_S = 0.5
_AGAIN_S, _LONGEST_S = 1.0, 30.0
_QUIET_S, _TURNS = 0.05, 6
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Service:
    """What subscriptions of one connection share.

    Attributes:
        run: call something in the session's thread.
        returner: puts messages back.
        offers: see `Claim`.
        forget: called with a subscription that has ended.
    """

    run: Callable[[Callable[[], None]], None]
    returner: Returner
    offers: Offers
    forget: Callable[[QueueSubscription], None]


class QueueSubscription:
    """Consumes one push queue while it owns it and something is asked for.

    It consumes with a prefetch for what the engine holds and asks for, and for a fast queue a little more, which waits
    here (`Pace`). A slow queue's consumer is cancelled before the ack that would bring a message nobody asked for:
    RabbitMQ does what a channel says in order. Another prefetch means another consumer. As RabbitMQ returns (before
    4.3: and counts) what is on its way to a consumer that it cancels, that is done when the prefetch is used up and
    nothing can be on its way, or after a while of quiet.
    """

    def __init__(self, queue: str, names: Names, sink: Sink, service: Service) -> None:
        self._queue = queue
        self._source = names.queue(Kind.PUSH, queue)
        self._sink = sink
        self._service = service
        self._claim = Claim(queue, names.owner(queue), service.offers, self._granted, self.end)
        self._channel: Channel | None = None
        self._hand: Hand | None = None
        self._waiting: deque[Delivery] = deque()
        self._pace = Pace()
        self._announced: deque[int] = deque()
        self._demand = 0
        self._prefetch = 0
        self._tag = ""
        self._is_consuming = False
        self._is_misfit = False
        self._is_watched = False
        self._is_gathering = False
        self._is_cancelled = False
        self._has_ended = False
        self._closed: Callable[[], None] | None = None
        self._again_s = _AGAIN_S
        self._fault = ""

    # ---- what the engine wants

    def announce(self, count: int) -> None:
        """Wish for as many, from any thread, before `demand`: till then nothing more is handed over."""
        self._announced.append(count)

    def demand(self) -> None:
        """As `Subscription.demand`, of what was announced."""
        count = self._announced.popleft()
        now_s = time.monotonic()
        self._demand = count
        self._pace.asked(now_s) if count else self._pace.idle(now_s)
        self._hand_over()
        self._consume()

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """As `Subscription.ack`."""
        if self._is_used_up:
            now_s = time.monotonic()
            if not self._demand and self._pace.is_slow(now_s):
                self._cancel()
            elif self._is_misfit:
                self._start(self._pace.prefetch(self._needed, now_s))
        receipts.ack(deliveries)

    def expect_returns(self) -> None:
        """Messages are about to be put back: without a demand they must not come here again."""
        if self._is_used_up and not self._demand:
            self._cancel()

    def close(self, done: Callable[[], None]) -> None:
        """As `Subscription.close`; ``done`` is called when everything is put back."""
        if self._has_ended:
            done()
            return
        self._has_ended, self._closed = True, done
        self._waiting.clear()
        hand, channel = self._hand, self._channel
        if hand is None or channel is None or not channel.is_open:
            self._leave()
        else:
            self._close_quietly(hand, _TURNS)

    def _close_quietly(self, hand: Hand, turns: int, seen: int = -1) -> None:
        """Stop consuming once nothing is on its way any more, and put everything back."""
        if not self._tag:
            self._put_all_back(hand)
        elif not turns or self._is_used_up or len(hand) == seen or not hand.counts_returns:
            self._cancel(lambda: self._put_all_back(hand))
        elif self._channel is not None:
            turn = partial(self._close_quietly, hand, turns - 1, len(hand))
            self._channel.connection.ioloop.call_later(_QUIET_S, turn)

    def _put_all_back(self, hand: Hand) -> None:
        tags = [tag_of(delivery) for delivery in hand.free()]
        self._service.returner.give_back(hand, tags, self._leave)

    def _leave(self) -> None:
        """Let go of everything; what is still held goes back with the channel."""
        self._service.forget(self)
        channel, self._channel = self._channel, None
        if channel is not None and channel.is_open:
            channel.close()  # before the claim, or the next owner would wait for messages that are still here
        self._claim.release()
        done, self._closed = self._closed, None
        if done is not None:
            done()

    # ---- what the session tells

    def open(self, connection: SelectConnection) -> None:
        """Use a new connection."""
        if not self._has_ended:
            self._claim.seek(connection)

    def end(self, error: Exception) -> None:
        """Tell the sink that the subscription is over."""
        if self._has_ended:
            self._leave()
            return
        self._has_ended = True
        self._waiting.clear()
        self._leave()
        self._sink.lost(BrokerUnavailableError(f"consuming queue {self._queue!r} from RabbitMQ ended: {error}"))

    def _granted(self, connection: SelectConnection) -> None:
        self._open_channel(connection)

    def _open_channel(self, connection: SelectConnection) -> None:
        if not self._has_ended and connection.is_open:
            connection.channel(on_open_callback=self._channel_open)

    def _channel_open(self, channel: Channel) -> None:
        if self._has_ended:
            channel.close()
            return
        is_first = self._hand is None
        self._channel = channel
        self._hand = hand = Hand(Kind.PUSH, self._queue, channel)
        self._tag, self._is_consuming, self._is_cancelled = "", False, False
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(self._cancelled)
        if isinstance(channel.connection, Inlet):
            channel.connection.take(channel.channel_number, partial(self._delivered, hand))
        if is_first:
            self._sink.owned(True)
        self._consume()

    def _channel_closed(self, channel: Channel, error: Exception) -> None:
        if isinstance(channel.connection, Inlet):
            channel.connection.take(channel.channel_number, None)
        if not self._uses(channel):
            return
        if self._has_ended:
            self._leave()
            return
        held = 0 if self._hand is None else len(self._hand) - len(self._waiting)
        self._waiting.clear()
        self._tag, self._is_consuming = "", False
        if self._is_cancelled:
            error = RuntimeError("RabbitMQ cancelled its consumer: the queue was deleted, or an attempt took too long")
        if held or not channel.connection.is_open:
            self.end(error)
            return
        # Nobody lost anything by it, so nobody is told but the log.
        if str(error) != self._fault:
            self._fault = str(error)
            advice = "; run `gae-broker deploy queue.yaml`" if getattr(error, "reply_code", 0) == _NOT_FOUND else ""
            _log.warning("queue %s cannot be consumed, trying again: %s%s", self._queue, error, advice)
        channel.connection.ioloop.call_later(self._again_s, lambda: self._open_channel(channel.connection))
        self._again_s = min(self._again_s * 2, _LONGEST_S)

    def _cancelled(self, _frame: object) -> None:
        # RabbitMQ 4.3 parks a consumer it cancelled (consumer timeout) until a cancel-ok that pika never sends: the
        # queue would deliver to nobody. Only closing the channel helps.
        self._is_cancelled = True
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def _uses(self, channel: Channel) -> bool:
        return channel is self._channel

    # ---- consuming

    @property
    def _needed(self) -> int:
        """What the engine holds and asks for."""
        return (0 if self._hand is None else len(self._hand) - len(self._waiting)) + self._demand

    @property
    def _is_used_up(self) -> bool:
        """Whether the consumer has its whole prefetch unacked, so that nothing can be on its way to it."""
        return self._is_consuming and self._hand is not None and self._hand.since_mark >= self._prefetch

    def _consume(self) -> None:
        """Consume, if something is asked for that no consumer will bring."""
        channel = self._channel
        if channel is None or not channel.is_open or not self._demand or self._has_ended:
            return
        if not self._tag or self._is_used_up:
            now_s = time.monotonic()
            self._start(self._demand if self._pace.is_slow(now_s) else self._pace.prefetch(self._needed, now_s))

    def _start(self, prefetch: int) -> None:
        channel = self._channel
        if channel is None:
            return
        if self._tag:
            self._cancel()
        self._prefetch, self._is_misfit = prefetch, False
        channel.basic_qos(prefetch_count=prefetch)
        self._tag = channel.basic_consume(
            self._source,
            self._one_delivered,
            callback=lambda frame: self._began(frame.method.consumer_tag),
        )
        if not self._is_watched:
            self._is_watched = True
            self._look_later(channel)

    def _began(self, tag: str) -> None:
        if tag == self._tag and self._hand is not None:
            self._is_consuming = True
            self._hand.mark()
        self._again_s = _AGAIN_S
        if self._fault:
            self._fault = ""
            _log.warning("queue %s is consumed again", self._queue)

    def _cancel(self, done: Callable[[], None] = lambda: None) -> None:
        tag, self._tag, self._is_consuming = self._tag, "", False
        if self._channel is not None and self._channel.is_open:
            self._channel.basic_cancel(tag, callback=lambda _: done())

    def _look_later(self, channel: Channel) -> None:
        channel.connection.ioloop.call_later(_LOOK_S, lambda: self._look(channel))

    def _look(self, channel: Channel) -> None:
        """Twice a second, while it consumes: does the consumer still fit the pace?"""
        self._is_watched = False
        hand = self._hand
        if not self._uses(channel) or hand is None or not channel.is_open or self._has_ended:
            return
        now_s = time.monotonic()
        if not self._demand and self._pace.idle_s(now_s) >= IDLE_S:
            # A pause, a rate lowered to nothing, every slot taken: nothing waits here meanwhile.
            self._cancel(self._put_waiting_back) if self._tag else self._put_waiting_back()
        elif self._tag:
            wanted = self._pace.prefetch(self._needed, now_s)
            self._is_misfit = wanted > self._prefetch * 1.5 or wanted * 4 < self._prefetch
        if (self._tag or self._waiting) and not self._is_watched:
            self._is_watched = True
            self._look_later(channel)

    def _put_waiting_back(self) -> None:
        hand, channel = self._hand, self._channel
        if self._has_ended or self._demand or hand is None or channel is None or not self._waiting:
            return
        tags = [tag_of(delivery) for delivery in self._waiting]
        self._waiting.clear()
        self._service.returner.give_back(hand, tags, partial(self._keep_rest, hand, frozenset(tags)))

    def _keep_rest(self, hand: Hand, tags: frozenset[int]) -> None:
        """What could not be put back waits on; the next look tries again."""
        if hand is not self._hand or self._has_ended or self._channel is None:
            return
        self._waiting.extendleft(reversed([one for one in hand.free() if tag_of(one) in tags]))
        if self._waiting and not self._is_watched:
            self._is_watched = True
            self._look_later(self._channel)
        self._hand_over()

    # ---- deliveries

    def _one_delivered(self, channel: Channel, method: Any, properties: pika.BasicProperties, body: bytes) -> None:  # noqa: ANN401 - pika's
        """A delivery as pika hands it out."""
        if self._hand is None or not self._uses(channel):
            return
        self._waiting.extend(self._hand.receive([(method.delivery_tag, properties, body)]))
        if not self._is_gathering:
            # After what else this read brought: one batch instead of many.
            self._is_gathering = True
            channel.connection.ioloop.add_callback(self._gathered)

    def _gathered(self) -> None:
        self._is_gathering = False
        self._hand_over()
        self._consume()

    def _delivered(self, hand: Hand, contents: list[Content]) -> None:
        received = hand.receive(contents)
        if hand is self._hand and not self._has_ended:
            self._waiting.extend(received)
            self._hand_over()
            self._consume()

    def _hand_over(self) -> None:
        count = min(self._demand, len(self._waiting))
        if not count or self._has_ended or self._announced:
            return
        batch = [self._waiting.popleft() for _ in range(count)]
        self._demand -= count
        now_s = time.monotonic()
        self._pace.delivered(count, now_s)
        if not self._demand:
            self._pace.idle(now_s)
        try:
            self._sink.deliver(batch)
        except Exception as exc:  # noqa: BLE001 - a sink's fault must not end the thread that serves all queues
            _log.exception("deliveries of queue %s were not taken", self._queue)
            self.end(exc)
