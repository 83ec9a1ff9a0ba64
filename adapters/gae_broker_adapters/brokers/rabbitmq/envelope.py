"""A message in AMQP's terms, and back.

Properties are built from scratch for every publish: ``x-death`` sent back to RabbitMQ <= 3.13 makes a cycle that is
dropped or wedges the wheel, and ``expiration`` or ``priority`` would break the wheel's order.
"""

from __future__ import annotations

from typing import Any

import pika

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import StorageError

_META = "gae-meta"
_KEY = "gae-task"
_DUE = "gae-due-us"
_PERSISTENT = 2


def properties(message: Message) -> pika.BasicProperties:
    """The properties a message is published with."""
    return pika.BasicProperties(
        delivery_mode=_PERSISTENT,
        message_id=message.copy_id,
        headers={_KEY: message.key, _DUE: message.due_us, _META: message.meta},
    )


def message(kind: Kind, queue: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """The message that was delivered from a queue.

    Raises:
        StorageError: it was not published by gae-broker.
    """
    headers: dict[str, Any] = properties.headers or {}
    try:
        return Message(properties.message_id, kind, queue, headers[_KEY], headers[_DUE], headers[_META], body)
    except KeyError as exc:
        raise StorageError(
            f"a message in {kind} queue {queue!r} has no header {exc}: it was not published by gae-broker; "
            "look at it in RabbitMQ's console and remove it",
        ) from exc


def delivery_count(properties: pika.BasicProperties) -> int:
    """How often the message was delivered before and came back."""
    count = (properties.headers or {}).get("x-delivery-count", 0)
    return int(count)
