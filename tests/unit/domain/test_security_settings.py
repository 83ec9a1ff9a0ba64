"""Settings of security: what is read, what is refused, and that no token is ever shown."""

from __future__ import annotations

import pytest

from gae_broker.domain import security_settings as security
from gae_broker.domain.security_settings import Authorization
from gae_broker.errors import SettingsError
from gae_broker.settings import Settings

TOKEN = "abc.DEF-123_456=="
KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "value",
    [f"crm=Bearer {TOKEN}, bi=shop.tokens:header", {"crm": f"Bearer {TOKEN}", "bi": "shop.tokens:header"}],
)
def test_authorization_is_a_text_or_a_hook(value):
    found = security.authorization(value)
    assert found == {"crm": Authorization(f"Bearer {TOKEN}"), "bi": Authorization(hook="shop.tokens:header")}
    assert security.authorization(found) == found
    assert security.show_authorization(found) == "crm=Bearer ***,bi=shop.tokens:header"
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {TOKEN}",
        f"crm={TOKEN}",
        f"crm=Bearer {TOKEN},crm=a:b",
        f"crm=Bearer {TOKEN} x",
        "crm=a:b()",
        7,
        {"a": 7},
    ],
)
def test_no_authorization_is_refused_without_a_word_of_it(value):
    with pytest.raises(ValueError, match="NAME=Bearer TOKEN") as caught:
        security.authorization(value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("value", ["/tasks, /cron/,", ["/tasks", "/cron/"]])
def test_paths(value):
    assert security.paths(value) == ("/tasks", "/cron/")


@pytest.mark.parametrize("value", ["tasks", "/a?b", "/a#b", 7, [7]])
def test_what_is_no_path(value):
    with pytest.raises(ValueError, match="/tasks,/cron"):
        security.paths(value)


def test_patterns():
    assert security.patterns("shop.mail.send, shop.tasks.*,f") == ("shop.mail.send", "shop.tasks.*", "f")
    assert security.show_items(("a.b", "c.*")) == "a.b,c.*"


@pytest.mark.parametrize("value", ["*", "shop.*.send", "shop..send", "shop.", "shop send", "1.b", 7])
def test_what_is_no_pattern(value):
    with pytest.raises(ValueError, match=r"shop\.tasks\.\*"):
        security.patterns(value)


def test_keys_come_from_a_file_and_are_never_shown(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"new:{KEY}\nold:{KEY}x\n")
    settings = Settings.load(environ={"GAE_BROKER_SIGNING_KEYS_FILE": str(file)})
    assert [key.id for key in settings.signing_keys.keys] == ["new", "old"]
    assert settings.show("signing_keys") == "new:***,old:***"
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SIGNING_KEYS", KEY), ("SIGNING_KEYS", f"a:{KEY},b"), ("AUTHORIZATION", f"Bearer {KEY}")],
)
def test_a_malformed_secret_is_not_quoted(name, value):
    with pytest.raises(SettingsError, match=r"found '\*\*\*', expected") as caught:
        Settings.load(environ={f"GAE_BROKER_{name}": value})
    assert KEY not in str(caught.value)
