"""The registry: a URL's scheme chooses the adapter, and errors say which there are."""

from __future__ import annotations

import pytest

from gae_broker import registry
from gae_broker.errors import SettingsError


class Noon:
    """A clock that stands still."""

    def now_us(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("group", "reference"),
    [(group, item) for group, table in registry._TABLES.items() for item in table.values()],
)
def test_every_reference_of_the_tables_can_be_imported(group: str, reference: str) -> None:
    assert callable(registry._resolve(reference, group))


def test_a_broker_and_a_ledger_are_opened_by_their_schemes() -> None:
    broker = registry.open_broker("embedded://", clock=Noon())
    broker.close()
    ledger = registry.open_ledger("sqlite://", clock=Noon())
    ledger.close()


def test_a_driver_in_the_scheme_does_not_matter() -> None:
    assert registry.load(registry.LEDGER_GROUP, "sqlite+pysqlite://") is registry.load(
        registry.LEDGER_GROUP, "sqlite://"
    )


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("embeded://", "no broker adapter for 'embeded://'; did you mean 'embedded://'? there are embedded://"),
        ("zmq://u:hunter2@h", "no broker adapter for 'zmq://'; there are embedded://"),
        ("gae.db", "broker URL 'gae.db' has no scheme, expected one like embedded://"),
        ("", "broker URL '' has no scheme"),
    ],
)
def test_unknown_schemes(url: str, error: str) -> None:
    with pytest.raises(SettingsError) as raised:
        registry.open_broker(url, clock=Noon())
    assert str(raised.value).startswith(error)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("gae_broker_no_such_module:x", "needs the module 'gae_broker_no_such_module', which is not installed"),
        ("gae_broker.registry:nothing", "cannot be loaded"),
    ],
)
def test_adapters_that_cannot_be_loaded(reference: str, error: str) -> None:
    with pytest.raises(SettingsError, match=error):
        registry._resolve(reference, "broker adapter")


def test_adapters_are_listed() -> None:
    assert ("broker", "embedded", "gae-broker") in [(a.role, a.scheme, a.origin) for a in registry.adapters()]
