"""A message in AMQP's terms, and back.

Properties are built from scratch for every publish: ``x-death`` sent back to RabbitMQ <= 3.13 makes a cycle that is
dropped or wedges the wheel, and ``expiration`` or ``priority`` would break the wheel's order.

The meta travels as a header, to be read in RabbitMQ's console. AMQP has a frame for all headers together and no way
to split it, and a frame beyond the agreed size (128 KiB by default, 8 KiB at least) ends the connection for everyone
on it; so a long meta stands before the body instead, and a header tells how long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pika

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import StorageError

KEY = "gae-task"
DUE = "gae-due-us"
META = "gae-meta"
META_LENGTH = "gae-meta-length"
LONGEST_META = 3000
"""In bytes; with a key of 500 characters and what dead-lettering adds it fits in any broker's frame."""
COUNT = "gae-ended-workers"
DELAY = "x-delay"
PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Returned(Message):
    """A message that is put back by publishing it again: its count of ended workers goes with it."""

    delivery_count: int


@dataclass(frozen=True, slots=True)
class Delayed(Returned):
    """A message that the x-delayed-message plugin is to hold for ``delay_ms``; it cannot be ``mandatory``."""

    delay_ms: int


def contents(message: Message) -> tuple[pika.BasicProperties, bytes]:
    """The properties and the body that a message is published with."""
    meta = message.meta.encode()
    headers: dict[str, str | int] = {KEY: message.key, DUE: message.due_us}
    body = message.body
    if len(meta) <= LONGEST_META:
        headers[META] = message.meta
    else:
        headers[META_LENGTH] = len(meta)
        body = meta + body
    if isinstance(message, Returned) and message.delivery_count:
        headers[COUNT] = message.delivery_count
    if isinstance(message, Delayed):
        headers[DELAY] = message.delay_ms
    return pika.BasicProperties(delivery_mode=PERSISTENT, message_id=message.copy_id, headers=headers), body


def message(kind: Kind, queue: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """The message that was delivered from a queue.

    Raises:
        StorageError: it was not published by gae-broker.
    """
    headers: dict[str, Any] = properties.headers or {}
    try:
        meta = headers.get(META)
        if meta is None:
            length = headers[META_LENGTH]
            meta, body = body[:length].decode(), body[length:]
        return Message(properties.message_id, kind, queue, headers[KEY], headers[DUE], meta, body)
    except (KeyError, TypeError, ValueError) as exc:
        raise StorageError(
            f"a message in {kind} queue {queue!r} has no readable header {exc}: it was not published by gae-broker; "
            "look at it in RabbitMQ's console and remove it",
        ) from exc


def delivery_count(properties: pika.BasicProperties) -> int:
    """How often the message was delivered before and came back."""
    headers: dict[str, Any] = properties.headers or {}
    return int(headers.get("x-delivery-count", 0)) + int(headers.get(COUNT, 0))
