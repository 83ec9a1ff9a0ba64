"""Puts messages back undone, so that it is not taken for the end of a worker.

Before 4.3 RabbitMQ counts each return as one (``x-delivery-count``): ``basic.nack``, a closed channel, a crash alike.
Three in a row make the engine apply the task's retry limits, so three deployments could give up a task that never
ran. There a message is published again, as the same copy, and the old one acked once the new one is confirmed. A crash
in between makes a duplicate, never a loss.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial

from gae_broker.domain.message import Message
from gae_broker.errors import BrokerUnavailableError
from gae_broker.ports import Delivery
from gae_broker_adapters.brokers.rabbitmq.receiving.receipts import Hand, by_hand, tag_of
from gae_broker_adapters.brokers.rabbitmq.wire.envelope import Returned
from gae_broker_adapters.brokers.rabbitmq.wire.session import Session

Publish = Callable[[Sequence[Message], float], list[Exception | None]]

_log = logging.getLogger(__name__)
_DEADLINE_S = 5.0


class Returner:
    """Returns deliveries of one session's channels.

    Args:
        session: in whose thread the hands live.
        publish: as `Publisher.publish`, on another connection: an alarm stops one that publishes, acks included.
    """

    def __init__(self, session: Session, publish: Publish) -> None:
        self._session = session
        self._publish = publish
        self._helper: ThreadPoolExecutor | None = None

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """As `Puller.restore`; in the session's thread it does not wait, and only logs a failure.

        Raises:
            BrokerUnavailableError, BrokerBlockedError, ConfirmTimeoutError: some are still held; restore them again.
        """
        for hand, tags in by_hand(deliveries).items():
            if self._session.is_own_thread:
                self.give_back(hand, tags, lambda: None)
            elif hand.counts_returns:
                self._exchange(hand, self._call(partial(hand.reserve, tags)))
            else:
                self._session.run(partial(hand.put_back, tags))

    def give_back(self, hand: Hand, tags: Iterable[int], done: Callable[[], None]) -> None:
        """Return deliveries, from the session's thread, in which ``done`` is called in the end.

        What could not be returned is still held then.
        """
        if not hand.counts_returns:
            hand.put_back(tags)
            done()
            return
        reserved = hand.reserve(tags)
        if not reserved:
            done()
            return
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, thread_name_prefix="gae-broker-returner")
        self._helper.submit(self._give_back, hand, reserved, done)

    def close(self) -> None:
        """Let go of the helping thread. Idempotent."""
        if self._helper is not None:
            self._helper.shutdown(wait=False)

    def _give_back(self, hand: Hand, reserved: Sequence[Delivery], done: Callable[[], None]) -> None:
        try:
            self._exchange(hand, reserved)
        except Exception as exc:  # noqa: BLE001 - nobody else would be told
            _log.warning("%d messages could not be put back into their queue: %s", len(reserved), exc)
        finally:
            self._session.run(done)

    def _exchange(self, hand: Hand, reserved: Sequence[Delivery]) -> None:
        """Publish what is reserved again, then ack it."""
        if not reserved:
            return
        errors: Sequence[Exception | None] = [RuntimeError("not published")] * len(reserved)
        try:
            errors = self._publish([_again(delivery) for delivery in reserved], _DEADLINE_S)
        finally:
            done = [tag_of(one) for one, error in zip(reserved, errors, strict=True) if error is None]
            kept = [tag_of(one) for one, error in zip(reserved, errors, strict=True) if error is not None]
            self._session.run(partial(hand.end_reservation, done, ack=True))
            self._session.run(partial(hand.end_reservation, kept, ack=False))
        for error in errors:
            if error is not None:
                raise error

    def _call(self, reserve: Callable[[], list[Delivery]]) -> list[Delivery]:
        """Call in the session's thread and wait for the answer."""
        answer: Future[list[Delivery]] = Future()
        self._session.run(lambda: answer.set_result(reserve()))
        try:
            return answer.result(_DEADLINE_S)
        except FutureTimeout as exc:
            # Reserved later, they would be settled by nobody until the channel is closed.
            answer.add_done_callback(lambda late: _release(self._session, late.result()))
            raise BrokerUnavailableError("messages could not be returned to RabbitMQ: it is not connected") from exc


def _again(delivery: Delivery) -> Message:
    """The message as it is published again, with what is known of ended workers."""
    fields = {field.name: getattr(delivery.message, field.name) for field in dataclasses.fields(Message)}
    return Returned(**fields, delivery_count=delivery.delivery_count)


def _release(session: Session, reserved: Sequence[Delivery]) -> None:
    for hand, tags in by_hand(reserved).items():
        session.run(partial(hand.end_reservation, tags, ack=False))
