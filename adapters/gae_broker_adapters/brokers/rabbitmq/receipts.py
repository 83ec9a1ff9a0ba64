"""Deliveries as RabbitMQ hands them out, and how they are acked or returned: on the channel they came by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pika
from pika.channel import Channel

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import StorageError
from gae_broker.ports import Delivery
from gae_broker_adapters.brokers.rabbitmq import envelope

Run = Callable[[Callable[[], None]], None]
Method: TypeAlias = pika.spec.Basic.Deliver | pika.spec.Basic.GetOk


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery's channel and tag; void once the channel is closed, since its deliveries are back in the queue."""

    channel: Channel
    tag: int


def delivery(
    kind: Kind,
    queue: str,
    channel: Channel,
    method: Method,
    properties: pika.BasicProperties,
    body: bytes,
) -> Delivery:
    """What the engine gets of a message; one that gae-broker did not publish has an unreadable meta."""
    try:
        message = envelope.message(kind, queue, properties, body)
    except StorageError as exc:
        key = properties.message_id or f"foreign-{method.delivery_tag}"
        message = Message(key, kind, queue, key, 0, str(exc), body)
    return Delivery(message, envelope.delivery_count(properties), Receipt(channel, method.delivery_tag))


def ack(run: Run, deliveries: Sequence[Delivery]) -> None:
    """Ack in the session's thread. A lost ack is a duplicate, so nothing waits for it."""
    run(lambda: _each(deliveries, _ack))


def restore(run: Run, deliveries: Sequence[Delivery]) -> None:
    """Return in the session's thread; before RabbitMQ 4.3 the delivery count rises by it."""
    run(lambda: _each(deliveries, _return))


def _each(deliveries: Sequence[Delivery], settle: Callable[[Channel, int], None]) -> None:
    tags: defaultdict[Channel, list[int]] = defaultdict(list)
    for one in deliveries:
        receipt = one.receipt
        if isinstance(receipt, Receipt) and receipt.channel.is_open:
            tags[receipt.channel].append(receipt.tag)
    for channel, numbers in tags.items():
        for tag in numbers:
            settle(channel, tag)


def _ack(channel: Channel, tag: int) -> None:
    channel.basic_ack(tag)


def _return(channel: Channel, tag: int) -> None:
    channel.basic_nack(tag, requeue=True)
