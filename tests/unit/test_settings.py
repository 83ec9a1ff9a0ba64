"""Settings: where values come from, what they may be, and what is never shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gae_broker import application_configuration, settings
from gae_broker.domain.setting_values import Processes, mask
from gae_broker.errors import SettingsError
from gae_broker.settings import OPTIONS, Settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(environ: dict[str, str] | None = None, **flags: object) -> Settings:
    return Settings.load(flags, environ or {})


def test_defaults_need_nothing() -> None:
    found = load()
    assert found == Settings()
    assert {found.source(name) for name in OPTIONS} == {"default"}


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "gae-broker.toml").write_text('url = "embedded:///file.db"\nprefix = "file"\ndrain_timeout = 7\n')
    found = load({"GAE_BROKER_URL": "embedded:///env.db", "GAE_BROKER_PREFIX": "env"}, url="embedded:///flag.db")
    shown = {name: (found.show(name), found.source(name)) for name in ("url", "prefix", "drain_timeout_s", "ledger")}
    assert shown == {
        "url": ("embedded:///flag.db", "flag"),
        "prefix": ("env", "GAE_BROKER_PREFIX"),
        "drain_timeout_s": ("7s", "gae-broker.toml"),
        "ledger": ("", "default"),
    }


def test_an_applications_own_configuration_stands_between_the_environment_and_the_file(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: application_configuration.provide(None))
    (tmp_path / "gae-broker.toml").write_text('prefix = "file"\ndrain_timeout = 7\n')
    table = {"url": "embedded:///app.db", "prefix": "app"}
    application_configuration.provide(lambda: settings.from_table(table, "its settings"))
    found = load({"GAE_BROKER_URL": "embedded:///env.db"})
    shown = {name: (found.show(name), found.source(name)) for name in ("url", "prefix", "drain_timeout_s")}
    assert shown == {
        "url": ("embedded:///env.db", "GAE_BROKER_URL"),
        "prefix": ("app", "its settings"),
        "drain_timeout_s": ("7s", "gae-broker.toml"),
    }
    table["prefix"] = "?"
    with pytest.raises(SettingsError, match=r"^prefix \(from its settings\): found '\?', expected 1 to 40 letters"):
        load()
    table["urls"] = table.pop("url")
    with pytest.raises(SettingsError, match=r"^its settings: unknown key 'urls', did you mean 'url'\? expected one of"):
        load()
    application_configuration.provide(None)
    assert load().source("prefix") == "gae-broker.toml"


def test_unset_flags_and_empty_variables_are_no_values() -> None:
    assert load({"GAE_BROKER_PREFIX": ""}, prefix=None) == Settings()


def test_the_process_environment_is_read_when_settings_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAE_BROKER_PREFIX", "late")
    assert Settings.load().prefix == "late"


def test_pyproject_is_read_where_there_is_no_file_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.gae-broker]\ntombstone = "9d"\n[tool.gae-broker.targets]\ndefault = "http://localhost:8000/"\n'
    )
    found = load()
    assert (found.tombstone_s, dict(found.targets)) == (777_600.0, {"default": "http://localhost:8000"})
    assert found.source("targets") == "pyproject.toml"
    (tmp_path / "gae-broker.toml").write_text("")
    assert load() == Settings()


def test_a_pyproject_without_our_table_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.other]\nurl = "x"\n')
    assert load() == Settings()


def test_a_named_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("processes = 3\n")
    assert Settings.load(environ={}, file=path).processes == Processes(3, 3)
    assert Settings.load(environ={"GAE_BROKER_CONFIG": str(path)}).source("processes") == str(path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("drain_timout = 3", "unknown key 'drain_timout', did you mean 'drain_timeout'?"),
        ("url = 5", r"url \(from gae-broker.toml\): found 5, expected a text"),
        ("targets = 5", r"targets \(from gae-broker.toml\): found 5, expected NAME=TARGET"),
        ("targets = {default = 5}", "expected targets like http://localhost:8000 or module:app, not '5'"),
        ("drain_timeout = true", "drain_timeout [(].* expected a time from 0s to 1d"),
        ("url = ", "gae-broker.toml: not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "gae-broker.toml").write_text(text)
    with pytest.raises(SettingsError, match=error):
        load()


def test_a_named_file_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match=r"nowhere.toml: cannot be read: No such file"):
        Settings.load(environ={}, file="nowhere.toml")


def test_secrets_may_stand_in_files(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("amqp://user:hunter2@rabbit:5672/\n")
    found = load({"GAE_BROKER_URL_FILE": str(secret)})
    assert (found.url, found.source("url")) == ("amqp://user:hunter2@rabbit:5672/", "GAE_BROKER_URL_FILE")
    with pytest.raises(SettingsError, match="both GAE_BROKER_URL and GAE_BROKER_URL_FILE are set"):
        load({"GAE_BROKER_URL_FILE": str(secret), "GAE_BROKER_URL": "embedded://"})
    with pytest.raises(SettingsError, match="GAE_BROKER_LEDGER_FILE: cannot read gone: No such file"):
        load({"GAE_BROKER_LEDGER_FILE": "gone"})
    secret.write_text("\n")
    with pytest.raises(SettingsError, match="url is empty, expected the value of GAE_BROKER_URL"):
        load({"GAE_BROKER_URL_FILE": str(secret)})


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("TARGETS", "http://localhost:8000", "targets", {"default": "http://localhost:8000"}),
        ("TARGETS", "a=http://h/b/, v1.c=m.n:app", "targets", {"a": "http://h/b", "v1.c": "m.n:app"}),
        ("TARGETS", "wsgi+m:app,b=asgi+m:make()", "targets", {"default": "wsgi+m:app", "b": "asgi+m:make()"}),
        ("TARGETS", "https://[::1]:8443", "targets", {"default": "https://[::1]:8443"}),
        ("PROCESSES", "4", "processes", Processes(4, 4)),
        ("PROCESSES", "1-8", "processes", Processes(1, 8)),
        ("THREADS", "25", "threads", 25),
        ("TOMBSTONE", "0", "tombstone_s", 0.0),
        ("TOMBSTONE", "9d", "tombstone_s", 777_600.0),
        ("PUBLISH_DEADLINE", "1.5s", "publish_deadline_s", 1.5),
        ("PREFIX", "shop.eu-1", "prefix", "shop.eu-1"),
    ],
)
def test_values(variable: str, text: str, name: str, value: object) -> None:
    found = load({f"GAE_BROKER_{variable}": text})
    assert getattr(found, name) == value
    assert load({f"GAE_BROKER_{variable}": found.show(name)}) == found


@pytest.mark.parametrize(
    ("variable", "text", "error"),
    [
        ("THREADS", "0", r"threads \(from GAE_BROKER_THREADS\): found '0', expected a number from 1 to 1000"),
        ("TARGETS", "a=ftp://h", r"targets \(from GAE_BROKER_TARGETS\): .* not 'ftp://h'"),
        ("TARGETS", "http://h:port", "expected"),
        ("TARGETS", "http://", "not 'http://'"),
        ("TARGETS", "http://h?x=1", "not 'http://h"),
        ("TARGETS", "app", "not 'app'"),
        (
            "TARGETS",
            "Upper=http://h",
            "expected target names like 'default', 'module' or 'version.module', not 'Upper'",
        ),
        ("TARGETS", "a=m:x,a=m:y", "expected each target once, but 'a' is there twice"),
        ("TARGETS", "a=ftp://u:hunter2@h", r"not 'ftp://u:\*\*\*@h'"),
        ("PROCESSES", "0", "expected a number or bounds like 1-8, from 1 to 64"),
        ("PROCESSES", "8-1", "expected a number or bounds"),
        ("PROCESSES", "x", "expected a number or bounds"),
        ("TOMBSTONE", "2w", "expected a time from 0s to 365d, like 30s"),
        ("DISPATCH_DEADLINE", "2d", "expected a time from 0.1s to 1d"),
        ("DRAIN_TIMEOUT", "-1", "expected a time from 0s"),
        ("PREFIX", "a b", "expected 1 to 40 letters"),
    ],
)
def test_values_that_are_refused(variable: str, text: str, error: str) -> None:
    with pytest.raises(SettingsError, match=error):
        load({f"GAE_BROKER_{variable}": text})


@pytest.mark.parametrize(
    ("url", "ledger"),
    [
        ("embedded:///a.db", "sqlite:///a.db"),
        ("embedded:////var/a.db?x=1", "sqlite:////var/a.db"),
        ("embedded://", "sqlite://"),
    ],
)
def test_the_embedded_brokers_file_is_the_ledger(url: str, ledger: str) -> None:
    assert Settings(url=url).ledger_url == ledger
    assert Settings(url=url, ledger="sqlite:///other.db").ledger_url == "sqlite:///other.db"


def test_other_brokers_need_a_ledger() -> None:
    with pytest.raises(SettingsError, match=r"set GAE_BROKER_LEDGER, to sqlite:///file.db or postgresql://"):
        _ = Settings(url="amqp://h").ledger_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://user:hunter2@rabbit:5672/v", "amqp://user:***@rabbit:5672/v"),
        ("amqp://:hunter2@h", "amqp://:***@h"),
        ("amqp://u:hunter2:hunter2@h", "amqp://u:***@h"),
        ("amqp://u:hun/ter2@h", "amqp://u:***@h"),
        ("amqp://u:12/3@h", "amqp://u:***@h"),
        ("amqp://u:a#hunter2@h", "amqp://u:***@h"),
        ("amqp://u:a@hunter2@h", "amqp://u:***@h"),
        ("postgresql://h/d?user=u&password=hunter2&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("cannot open amqp://u:hunter2@h now", "cannot open amqp://u:***@h now"),
        ("http://localhost:8000/a@b", "http://localhost:8000/a@b"),
        ("http://localhost:8000, mail a@b", "http://localhost:8000, mail a@b"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_no_password_in_any_representation() -> None:
    found = load(
        {"GAE_BROKER_URL": "amqp://u:hunter2@h", "GAE_BROKER_TARGETS": "http://u:hunter2@h,b=http://h"},
        ledger="postgresql://u:hunter2@h/d",
    )
    assert "hunter2" not in repr(found) + str(found) + "".join(found.show(name) for name in OPTIONS)
    assert repr(found).count("***") == 3


def test_misspelt_variables_are_noticed_and_others_are_not() -> None:
    environ = {
        "GAE_BROKER_URLS": "x",
        "GAE_BROKER_LEDGER_FILES": "x",
        "GAE_BROKER_URL": "x",
        "GAE_BROKER_PORT": "tcp://10.0.0.1:80",  # Kubernetes sets it for a service named gae-broker
        "GAE_BROKER_SERVICE_HOST": "10.0.0.1",
        "HOME": "/",
    }
    assert settings.unknown_variables(environ) == [
        "GAE_BROKER_LEDGER_FILES is not a setting; did you mean GAE_BROKER_LEDGER_FILE?",
        "GAE_BROKER_URLS is not a setting; did you mean GAE_BROKER_URL?",
    ]


def test_settings_travel_to_other_processes() -> None:
    found = load({"GAE_BROKER_TARGETS": "http://localhost:8000"})
    assert pickle.loads(pickle.dumps(found)) == found
