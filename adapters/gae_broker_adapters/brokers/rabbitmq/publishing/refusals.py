"""Which messages RabbitMQ closed a channel for, and what to tell their callers; pure.

Source: the texts of ``rabbit_channel.erl`` and ``rabbit_exchange.erl``, the same in 3.10, 4.0 and 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pika.exceptions import ChannelClosedByBroker

from gae_broker.domain.message import Message
from gae_broker.errors import Error, PermissionDeniedError, TaskTooLargeError, UnknownQueueError
from gae_broker_adapters.brokers.rabbitmq.publishing.batches import Route
from gae_broker_adapters.brokers.rabbitmq.wire import envelope
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location

_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED = 403, 404, 406
_EXCHANGE = re.compile(r"exchange '([^']*)'")
_LARGEST = re.compile(r"message size \d+ is larger than .*?(\d+)")


def reason(closed: ChannelClosedByBroker) -> str:
    """RabbitMQ's text and code."""
    return f"{closed.reply_text} ({closed.reply_code})"


def objection(closed: ChannelClosedByBroker, route: Route) -> Callable[[Message], bool]:
    """Tells which messages RabbitMQ objects to; none, where its text says nothing of messages."""
    exchange, largest = _EXCHANGE.search(closed.reply_text), _LARGEST.search(closed.reply_text)
    if exchange is not None and closed.reply_code in (_REFUSED, _NOT_FOUND):
        return lambda message: route(message)[0] == exchange[1]
    if largest is not None and closed.reply_code == _PRECONDITION_FAILED:
        return lambda message: len(envelope.contents(message)[1]) > int(largest[1])
    return lambda _: False


def verdict(closed: ChannelClosedByBroker, message: Message, location: Location) -> Error:
    """The error of a message that was objected to; it is not stored."""
    where = f"RabbitMQ at {location}"
    if closed.reply_code == _REFUSED:
        return PermissionDeniedError(
            f"{where} does not let this user add to {message.kind} queue {message.queue!r}: {reason(closed)}; give "
            "it write permission on gae-broker's exchanges",
        )
    if closed.reply_code == _NOT_FOUND:
        return UnknownQueueError(
            f"{where} has no exchange for {message.kind} queue {message.queue!r}: {reason(closed)}; run "
            "`gae-broker deploy queue.yaml`",
        )
    return TaskTooLargeError(
        f"{where} takes no message as large as task {message.key!r}: {reason(closed)}; raise max_message_size in "
        "rabbitmq.conf, or store the payload elsewhere and send its key",
    )
