"""Declares the topology, or verifies that it is there; on a connection of its own, opened for that and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from gae_broker.errors import BrokerUnavailableError, ConfigurationError, PermissionDeniedError, UnknownQueueError
from gae_broker_adapters.brokers.rabbitmq.location import Location
from gae_broker_adapters.brokers.rabbitmq.topology import Topology

_T = TypeVar("_T")
_REFUSED, _NOT_FOUND, _MISMATCH = 403, 404, 406


@contextmanager
def channel(location: Location) -> Iterator[BlockingChannel]:
    """A channel on a short-lived connection.

    Raises:
        BrokerUnavailableError: the broker cannot be reached, or ended the connection.
    """
    try:
        connection = pika.BlockingConnection(list(location.parameters))
    except (AMQPError, OSError) as exc:
        raise BrokerUnavailableError(f"RabbitMQ at {location} cannot be reached: {exc or repr(exc)}") from exc
    try:
        yield connection.channel()
    except ChannelClosedByBroker:
        raise
    except AMQPError as exc:
        raise BrokerUnavailableError(f"RabbitMQ at {location} ended the connection: {exc or repr(exc)}") from exc
    finally:
        if connection.is_open:
            connection.close()


def server_version(open_channel: BlockingChannel) -> str:
    """The broker's version (``4.3.5``)."""
    properties = open_channel.connection._impl.server_properties or {}  # noqa: SLF001 - pika has no public name for it
    version = properties.get("version", "0.0.0")
    return version.decode() if isinstance(version, bytes) else str(version)


def declare(open_channel: BlockingChannel, topology: Topology) -> None:
    """Declare everything; what exists with the same arguments stays as it is.

    Raises:
        ConfigurationError: an object exists with other arguments.
        PermissionDeniedError: the user may not declare.
    """
    for exchange in topology.exchanges:
        declare_one = partial(open_channel.exchange_declare, exchange.name, exchange.type, durable=True)
        _do(exchange.name, partial(declare_one, arguments=dict(exchange.arguments)))
    for queue in topology.queues:
        _do(queue.name, partial(open_channel.queue_declare, queue.name, durable=True, arguments=dict(queue.arguments)))
    for binding in topology.bindings:
        bind = open_channel.exchange_bind if binding.to_exchange else open_channel.queue_bind
        _do(binding.destination, partial(bind, binding.destination, binding.source, binding.key))


def ready(open_channel: BlockingChannel, name: str) -> int:
    """How many messages of a queue wait for a consumer.

    Raises:
        UnknownQueueError: there is no such queue.
    """
    return int(_do(name, lambda: open_channel.queue_declare(name, passive=True)).method.message_count)


def purge(open_channel: BlockingChannel, name: str) -> int:
    """Remove what waits in a queue; how many messages that were.

    Raises:
        UnknownQueueError: there is no such queue.
    """
    return int(_do(name, lambda: open_channel.queue_purge(name)).method.message_count)


def _do(name: str, call: Callable[[], _T]) -> _T:
    try:
        return call()
    except ChannelClosedByBroker as exc:
        if exc.reply_code == _NOT_FOUND:
            raise UnknownQueueError(f"RabbitMQ has no {name!r}: run `gae-broker deploy queue.yaml`") from exc
        if exc.reply_code == _MISMATCH:
            raise ConfigurationError(
                f"RabbitMQ has {name!r} with other arguments than this release declares ({exc.reply_text}); "
                "use another prefix, or drain and delete it",
            ) from exc
        if exc.reply_code == _REFUSED:
            raise PermissionDeniedError(f"RabbitMQ does not let this user declare {name!r}: {exc.reply_text}") from exc
        raise BrokerUnavailableError(f"RabbitMQ refused {name!r}: {exc.reply_text}") from exc
