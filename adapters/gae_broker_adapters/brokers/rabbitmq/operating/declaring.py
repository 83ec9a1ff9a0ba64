"""Declares the topology, or verifies that it is there; on a connection of its own, opened for that and closed.

A start must be quick, and some 120 declares answered one by one are not: requests are sent without waiting for each
answer, and one that is refused closes the channel with a text that names the object. What is there already is not
declared again: a look costs a tenth of it, and the arguments of a queue that an older broker or release made are no
reason not to start (`gae-broker check` compares them).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionClosedByBroker

from gae_broker.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    Error,
    PermissionDeniedError,
    UnknownQueueError,
)
from gae_broker_adapters.brokers.rabbitmq.operating import plugin
from gae_broker_adapters.brokers.rabbitmq.topology import Binding, BrokerQueue, Exchange, Topology
from gae_broker_adapters.brokers.rabbitmq.wire import failures, versions
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location

_T = TypeVar("_T")
_Named: TypeAlias = Exchange | BrokerQueue
_Request: TypeAlias = Callable[[Any], None]
_REFUSED, _NOT_FOUND, _MISMATCH = 403, 404, 406
_NAME = "gae-broker-administration"
_UNKNOWN_TYPE = "exchange type '"
_AT_ONCE = 16
"""Objects looked at in one round trip; where one is missing, up to so many are looked at again."""
_NAMED = re.compile(r"(?:queue|exchange) '([^']*)'")
DEPLOY = "run `gae-broker deploy queue.yaml`"
_AS_ADMINISTRATOR = (
    "docs/how-to/permissions.md has what each user needs; for one who may not declare, have an administrator "
    f"{DEPLOY}, and set GAE_BROKER_DECLARING=verify"
)


@contextmanager
def channel(location: Location) -> Iterator[BlockingChannel]:
    """A channel on a short-lived connection.

    Raises:
        BrokerUnavailableError: the broker cannot be reached, or ended the connection.
        SettingsError: it refuses this user, or has no such virtual host; or its certificate is not trusted.
    """
    connection = _connect(location)
    version = _version(connection)
    try:
        yield connection.channel()
    except ChannelClosedByBroker:
        raise
    except ConnectionClosedByBroker as exc:
        if _UNKNOWN_TYPE in exc.reply_text:  # up to 3.13.2 that ends the connection
            raise plugin.missing(version) from exc
        raise BrokerUnavailableError(f"RabbitMQ at {location} ended the connection: {exc.reply_text}") from exc
    except AMQPError as exc:
        raise BrokerUnavailableError(f"RabbitMQ at {location} ended the connection: {exc or repr(exc)}") from exc
    finally:
        if connection.is_open:
            connection.close()


def _connect(location: Location) -> BlockingConnection:
    """A connection to the first host that takes one; host by host, as pika stops at a name that is not known."""
    errors = []
    for where, parameters in location.tour(random.randrange(len(location.hosts)), _NAME):  # noqa: S311 - spreads load
        try:
            return pika.BlockingConnection(parameters)
        except failures.FAILURES as exc:
            errors.append(failures.to_connect(exc, where))
            errors[-1].__cause__ = exc
    raise failures.gravest(errors)


def user_of(open_channel: BlockingChannel) -> str:
    """The user that a channel's connection logged in."""
    credentials = open_channel.connection._impl.params.credentials  # noqa: SLF001 - pika has no public name for it
    return str(getattr(credentials, "username", "of the certificate"))


def server_version(open_channel: BlockingChannel) -> str:
    """The broker's version (``4.3.5``)."""
    return _version(open_channel.connection)


def _version(connection: BlockingConnection) -> str:
    properties = connection._impl.server_properties or {}  # noqa: SLF001 - pika has no public name for it
    version = properties.get("version", "0.0.0")
    return version.decode() if isinstance(version, bytes) else str(version)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look found: objects that are not there, and (since RabbitMQ 4.3) those that the user may not see."""

    missing: tuple[str, ...]
    hidden: tuple[str, ...]


def look(open_channel: BlockingChannel, topology: Topology) -> Sight:
    """Which exchanges and queues of a topology there are; bindings cannot be looked at."""
    missing: list[str] = []
    hidden: list[str] = []
    rest: list[_Named] = [*topology.exchanges]
    rest += topology.queues
    while rest:
        batch = rest[:_AT_ONCE]
        try:
            _pipelined(open_channel.connection, [_passive(one) for one in batch])
        except ChannelClosedByBroker as exc:
            name = _name(exc)
            place = next((index for index, named in enumerate(batch) if named.name == name), None)
            if place is None or exc.reply_code not in (_REFUSED, _NOT_FOUND):
                raise _translated(open_channel, name, exc) from exc
            (missing if exc.reply_code == _NOT_FOUND else hidden).append(name)
            rest = rest[place + 1 :]
        else:
            rest = rest[len(batch) :]
    return Sight(tuple(missing), tuple(hidden))


def verify(open_channel: BlockingChannel, topology: Topology) -> None:
    """Make sure that every exchange and queue is there, and make none.

    What the user has no permission on, and so does not use, cannot be seen since RabbitMQ 4.3, and is left out.

    Raises:
        ConfigurationError: some are missing; the text names them and what makes them.
        PermissionDeniedError: the user may see nothing at all.
    """
    sight = look(open_channel, topology)
    if sight.missing:
        raise ConfigurationError(
            f"RabbitMQ lacks {_some(sight.missing)}; {DEPLOY} as a user who may declare, or import what "
            "`gae-broker topology export` writes (this process only verifies: declaring=verify)",
        )
    if len(sight.hidden) == len(topology.names()) and not versions.hides(server_version(open_channel)):
        raise PermissionDeniedError(
            f"RabbitMQ lets user {user_of(open_channel)!r} see and use nothing of {_some(sight.hidden)}: grant it what "
            "docs/how-to/permissions.md lists",
        )


def declare(open_channel: BlockingChannel, shared: Topology, queues: Topology, seal: str) -> None:
    """Declare what is missing; what exists stays as it is, whatever its arguments.

    The exchange named ``seal`` comes last of the shared ones, so where it is, all of them and their bindings are.

    Raises:
        ConfigurationError: an object that another process made meanwhile has other arguments.
        PermissionDeniedError: the user may not declare.
    """
    gone = set(look(open_channel, shared + queues).missing)
    if gone.intersection(shared.names()):
        _make(open_channel, shared, gone, seal)
    _make(open_channel, queues, gone, "")


def run(open_channel: BlockingChannel, name: str, call: Callable[[BlockingChannel], _T]) -> _T:
    """Do one thing about an object on a channel of its own, so that a refusal closes nothing else.

    Raises:
        UnknownQueueError, ConfigurationError, PermissionDeniedError, BrokerUnavailableError: it was refused.
    """
    own = open_channel.connection.channel()
    try:
        return call(own)
    except ChannelClosedByBroker as exc:
        raise _translated(open_channel, name, exc) from exc
    finally:
        if own.is_open:
            own.close()


def ready(open_channel: BlockingChannel, name: str) -> int:
    """How many messages of a queue wait for a consumer.

    Raises:
        UnknownQueueError: there is no such queue.
    """
    return int(run(open_channel, name, lambda own: own.queue_declare(name, passive=True)).method.message_count)


def purge(open_channel: BlockingChannel, name: str) -> int:
    """Remove what waits in a queue; how many messages that were.

    Raises:
        UnknownQueueError: there is no such queue.
    """
    return int(run(open_channel, name, lambda own: own.queue_purge(name)).method.message_count)


def _make(open_channel: BlockingChannel, topology: Topology, gone: set[str], seal: str) -> None:
    made = [one for one in topology.exchanges if one.name in gone]
    requests = [_active(one) for one in made if one.name != seal]
    requests += [_active(one) for one in topology.queues if one.name in gone]
    requests += [_bind(one) for one in topology.bindings]
    requests += [_active(one) for one in made if one.name == seal]
    try:
        _pipelined(open_channel.connection, requests)
    except ChannelClosedByBroker as exc:
        raise _translated(open_channel, _name(exc), exc) from exc


def _pipelined(connection: BlockingConnection, requests: Sequence[_Request]) -> None:
    """Send requests without waiting for answers, then wait until the broker has done them all."""
    if not requests:
        return
    own = connection.channel()
    for request in requests:
        # pika's channel below the blocking one: without a callback it asks for no answer (AMQP's nowait).
        request(own._impl)  # noqa: SLF001
    own.basic_qos(prefetch_count=1)  # answered when everything before it is done
    own.close()


def _passive(one: _Named) -> _Request:
    if isinstance(one, Exchange):
        return lambda impl: impl.exchange_declare(one.name, one.type, passive=True)
    return lambda impl: impl.queue_declare(one.name, passive=True)


def _active(one: _Named) -> _Request:
    if isinstance(one, Exchange):
        return lambda impl: impl.exchange_declare(one.name, one.type, durable=True, arguments=dict(one.arguments))
    return lambda impl: impl.queue_declare(one.name, durable=True, arguments=dict(one.arguments))


def _bind(one: Binding) -> _Request:
    if one.to_exchange:
        return lambda impl: impl.exchange_bind(one.destination, one.source, one.key)
    return lambda impl: impl.queue_bind(one.destination, one.source, one.key)


def _translated(open_channel: BlockingChannel, name: str, exc: ChannelClosedByBroker) -> Error:
    if exc.reply_code == _NOT_FOUND:
        return UnknownQueueError(f"RabbitMQ has no {name!r}: {DEPLOY}")
    if _UNKNOWN_TYPE in exc.reply_text:
        return plugin.missing(server_version(open_channel))
    if exc.reply_code == _MISMATCH:
        return ConfigurationError(
            f"RabbitMQ has {name!r} with other arguments than this release declares ({exc.reply_text}); "
            "use another prefix, or drain and delete it",
        )
    if exc.reply_code == _REFUSED:
        return PermissionDeniedError(
            f"RabbitMQ does not let user {user_of(open_channel)!r} declare or use {name!r} ({exc.reply_text}): "
            f"{_AS_ADMINISTRATOR}",
        )
    return BrokerUnavailableError(f"RabbitMQ refused {name!r}: {exc.reply_text}")


def _name(exc: ChannelClosedByBroker) -> str:
    """The object that a refusal is about."""
    found = _NAMED.search(exc.reply_text)
    return found[1] if found else exc.reply_text


def _some(names: Sequence[str]) -> str:
    shown = 3
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + rest
