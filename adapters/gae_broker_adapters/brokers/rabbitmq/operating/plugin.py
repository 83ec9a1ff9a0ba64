"""The x-delayed-message plugin in place of the wheel, for who runs it already; refused where it cannot work.

What it costs is in docs/how-to/run-on-rabbitmq.md: a delayed message is confirmed before it is safe, there is one copy
of it on one node, and RabbitMQ cannot say that it reaches no queue, so such messages are not ``mandatory``. The wheel
stays declared beside it, so that what waits there when the setting changes comes out all the same.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import ConfigurationError
from gae_broker.ports import Check, CheckStatus
from gae_broker_adapters.brokers.rabbitmq.operating.management import Management, ManagementError
from gae_broker_adapters.brokers.rabbitmq.wire import versions
from gae_broker_adapters.brokers.rabbitmq.wire.envelope import Delayed

TYPE = "x-delayed-message"
_LAST = (4, 3)
"""From here on the plugin cannot run: it keeps its messages in Mnesia, which is gone."""
_LONGEST_MS = (1 << 32) - 1
"""A longer delay the plugin takes for none; what comes early is put back by whoever receives it."""
_WHEEL = "set GAE_BROKER_DELAYS=wheel, the default, which needs no plugin"


def require(version: str, management: Management) -> None:
    """Make sure that the server can have the plugin, as far as it can be told without declaring its exchange.

    Up to 3.13.2 declaring an exchange of an unknown type ends the connection, so this is asked of the management
    API; where that cannot be had, declaring is what tells.

    Raises:
        ConfigurationError: it cannot, or has not.
    """
    if versions.parse(version) >= _LAST:
        raise ConfigurationError(
            f"delays=plugin: RabbitMQ {version} cannot run {TYPE}, 4.2 was the last that could; {_WHEEL}"
        )
    try:
        overview = cast("dict[str, Any]", management.get("overview"))
    except ManagementError:
        return
    if TYPE not in {one.get("name") for one in overview.get("exchange_types", ())}:
        raise missing(version)


def missing(version: str) -> ConfigurationError:
    """The error of a server without the plugin."""
    return ConfigurationError(f"delays=plugin: RabbitMQ {version} has no plugin that brings {TYPE}; {_WHEEL}")


def check(version: str, management: Management) -> Check:
    """What is to be said of the setting."""
    try:
        require(version, management)
    except ConfigurationError as exc:
        return Check("broker delays", CheckStatus.FAILED, str(exc))
    text = f"by {TYPE}: one copy on one node, confirmed before it is safe; {_WHEEL}"
    return Check("broker delays", CheckStatus.WARNING, text)


def delayed(message: Message, now_us: int) -> Message:
    """The message as the plugin takes it; one that is due, or dead, stays as it is. The wait is rounded up."""
    wait_ms = -((now_us - message.due_us) // 1000)
    if message.kind is Kind.DEAD or wait_ms <= 0:
        return message
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return Delayed(**{"delivery_count": 0, **values, "delay_ms": min(wait_ms, _LONGEST_MS)})
