"""From a URL's scheme to the adapter that opens it.

First-party adapters stand in a table of strings; others are found by the entry point groups ``gae_broker.brokers``,
``gae_broker.ledgers`` and ``gae_broker.outboxes``, whose names are schemes. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from gae_broker.domain.broker_options import BrokerOptions
from gae_broker.domain.setting_values import mask
from gae_broker.domain.shim import Shim
from gae_broker.errors import SettingsError
from gae_broker.ports import Broker, Clock, Ledger, Outbox

BROKER_GROUP = "gae_broker.brokers"
LEDGER_GROUP = "gae_broker.ledgers"
OUTBOX_GROUP = "gae_broker.outboxes"
BROKERS: Mapping[str, str] = {
    "embedded": "gae_broker_adapters.brokers.embedded:open_broker",
    "amqp": "gae_broker_adapters.brokers.rabbitmq:open_broker",
    "amqps": "gae_broker_adapters.brokers.rabbitmq:open_broker",
}
LEDGERS: Mapping[str, str] = {
    "sqlite": "gae_broker_adapters.ledgers.sql:open_ledger",
    "postgresql": "gae_broker_adapters.ledgers.sql:open_ledger",
}
SHIMS: Mapping[Shim, str] = {
    Shim.NAMES: "gae_broker_adapters.appengine:install",
    Shim.SERVICE: "gae_broker_adapters.appengine_service:register",
}
OUTBOXES: Mapping[str, str] = {
    "sqlite": "gae_broker_adapters.sqlalchemy.opening:open_outbox",
    "postgresql": "gae_broker_adapters.sqlalchemy.opening:open_outbox",
    "django": "gae_broker_adapters.django.outbox:open_outbox",
}
_TABLES = {BROKER_GROUP: BROKERS, LEDGER_GROUP: LEDGERS, OUTBOX_GROUP: OUTBOXES}
_ROLES = {BROKER_GROUP: "broker", LEDGER_GROUP: "ledger", OUTBOX_GROUP: "outbox"}


class OpenBroker(Protocol):
    """What an entry point of ``gae_broker.brokers`` names."""

    def __call__(self, url: str, *, clock: Clock, options: BrokerOptions) -> Broker:
        """Open the broker; raises `SettingsError` for a URL it cannot use."""


class OpenLedger(Protocol):
    """What an entry point of ``gae_broker.ledgers`` names."""

    def __call__(self, url: str, *, clock: Clock) -> Ledger:
        """Open the ledger; raises `SettingsError` for a URL it cannot use."""


class OpenOutbox(Protocol):
    """What an entry point of ``gae_broker.outboxes`` names."""

    def __call__(self, url: str) -> Outbox:
        """Open the outbox, connect to nothing yet; raises `SettingsError` for a URL it cannot use."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter that can be chosen.

    Attributes:
        role: ``broker``, ``ledger`` or ``outbox``.
        scheme: the URL scheme that chooses it.
        reference: ``module:attribute``.
        origin: the distribution that brings it.
    """

    role: str
    scheme: str
    reference: str
    origin: str


def adapters() -> list[Adapter]:
    """Every adapter there is, first-party ones first; none of them is imported."""
    from importlib import metadata  # noqa: PLC0415 - 50 ms that first-party adapters do not need

    found = []
    for group, role in _ROLES.items():
        found += [Adapter(role, scheme, reference, "gae-broker") for scheme, reference in _TABLES[group].items()]
        for entry in metadata.entry_points(group=group):
            if entry.name not in _TABLES[group]:
                found.append(Adapter(role, entry.name, entry.value, entry.dist.name if entry.dist else "?"))
    return found


def open_broker(url: str, *, clock: Clock, options: BrokerOptions | None = None) -> Broker:
    """Open the broker that a URL names.

    Raises:
        SettingsError: no adapter for its scheme, or what the adapter needs is not installed.
        TransientError: it cannot be reached.
    """
    opening = cast("OpenBroker", load(BROKER_GROUP, url))
    return opening(url, clock=clock, options=options or BrokerOptions())


def open_ledger(url: str, *, clock: Clock) -> Ledger:
    """Open the ledger that a URL names.

    Raises:
        SettingsError: no adapter for its scheme, or what the adapter needs is not installed.
        TransientError: it cannot be reached.
    """
    return cast("OpenLedger", load(LEDGER_GROUP, url))(url, clock=clock)


def install_shim(shim: Shim) -> None:
    """Put ourselves in App Engine's place, in this process, as far as the setting says. Idempotent.

    Raises:
        SettingsError: Google's library is needed and not installed, or part of the program uses it already.
    """
    if shim is not Shim.OFF:
        cast("Callable[[], object]", _resolve(SHIMS[shim], f"shim={shim}"))()


def open_outbox(url: str) -> Outbox:
    """Open the outbox in the application's database that a URL names.

    Raises:
        SettingsError: no adapter for its scheme, or what the adapter needs is not installed.
    """
    return cast("OpenOutbox", load(OUTBOX_GROUP, url))(url)


def load(group: str, url: str) -> object:
    """The adapter's opening function; a driver in the scheme (``postgresql+psycopg``) does not matter here.

    Raises:
        SettingsError: there is no such adapter, or it cannot be imported.
    """
    role = _ROLES[group]
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise SettingsError(f"{role} URL {mask(url)!r} has no scheme, expected one like {_examples(group)}")
    own = _TABLES[group].get(scheme)
    if own is not None:  # without a look at every installed distribution, which takes longer than opening
        return _resolve(own, f"{role} adapter for '{scheme}://'")
    known = {adapter.scheme: adapter.reference for adapter in adapters() if adapter.role == role}
    reference = known.get(scheme) or known.get(scheme.partition("+")[0])
    if reference is None:
        close = difflib.get_close_matches(scheme, known, n=1)
        hint = f"did you mean '{close[0]}://'? " if close else ""
        raise SettingsError(f"no {role} adapter for '{scheme}://'; {hint}there are {_examples(group)}")
    return _resolve(reference, f"{role} adapter for '{scheme}://'")


def _examples(group: str) -> str:
    return ", ".join(f"{adapter.scheme}://" for adapter in adapters() if adapter.role == _ROLES[group])


def _resolve(reference: str, what: str) -> object:
    module, _, attribute = reference.partition(":")
    try:
        return cast("object", getattr(importlib.import_module(module), attribute))
    except ModuleNotFoundError as exc:
        raise SettingsError(f"{what}: {reference} needs the module '{exc.name}', which is not installed") from exc
    except (ImportError, AttributeError) as exc:
        raise SettingsError(f"{what}: {reference} cannot be loaded: {exc}") from exc
