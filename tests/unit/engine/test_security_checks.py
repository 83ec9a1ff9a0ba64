"""What `gae-broker check` says about signing."""

from __future__ import annotations

import pytest

from gae_broker.domain import keyring, security_settings
from gae_broker.domain.loopback import is_loopback, is_loopback_address
from gae_broker.engine.security_checks import security_checks
from gae_broker.settings import Settings

KEYS = keyring.parse("new:0123456789abcdef,old:fedcba9876543210")
HERE = {"default": "http://localhost:8000", "app": "shop:app"}
AWAY = {"default": "http://shop.example.com", "safe": "https://user:secret@crm.example.com"}


def found(**settings):
    return [(check.status.value, check.name, check.text) for check in security_checks(Settings(**settings))]


@pytest.mark.parametrize("targets", [{}, HERE, {"default": "http://127.8.0.1"}, {"default": "http://[::1]:8000"}])
def test_without_keys_this_machine_is_good_enough(targets):
    ((status, name, text),) = found(targets=targets)
    assert (status, name) == ("ok", "signing")
    assert "not signed" in text


def test_without_keys_each_target_elsewhere_is_warned_of():
    lines = found(targets=AWAY | HERE | {"default": AWAY["default"]})
    assert [(status, name) for status, name, _ in lines] == [("warning", "target default"), ("warning", "target safe")]
    assert all("set GAE_BROKER_SIGNING_KEYS here and there" in text for _, _, text in lines)
    assert "secret" not in str(lines)


def test_with_keys_it_says_which():
    text = "requests and deferred calls are signed with 'new'; valid too: 'old'"
    assert found(targets=AWAY, signing_keys=KEYS) == [("ok", "signing", text)]


def test_what_should_not_last_is_warned_of():
    lines = found(signing_keys=KEYS, deferred_unsigned="accept")
    assert [status for status, _, _ in lines] == ["ok", "warning"]
    assert "unset GAE_BROKER_DEFERRED_UNSIGNED" in lines[1][2]
    lines = found(signing_keys=KEYS, unsigned_requests="loopback")
    assert [status for status, _, _ in lines] == ["ok", "failed"]


def test_authorization_needs_its_target_and_https():
    given = security_settings.authorization("default=Bearer abc,safe=Bearer abc")
    lines = found(targets=AWAY, signing_keys=KEYS, authorization=given)
    assert [line[:2] for line in lines] == [("ok", "signing"), ("warning", "target default")]
    lines = found(targets=HERE, authorization=security_settings.authorization("app=a:b"))
    assert lines[-1][:2] == ("failed", "authorization")
    assert "there is no target 'app' over HTTP (there are: default)" in lines[-1][2]


@pytest.mark.parametrize(
    ("host", "name", "address"),
    [
        ("localhost", True, False),
        ("api.LOCALHOST.", True, False),
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("::1%lo", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("localhost.example.com", False, False),
        ("10.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("", False, False),
    ],
)
def test_what_is_this_machine(host, name, address):
    assert (is_loopback(host), is_loopback_address(host)) == (name, address)
