"""``config show``, ``check`` and ``adapters``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gae_broker.settings import OPTIONS, key


def test_config_shows_every_setting_with_its_source(cli, home: Path) -> None:
    (home / "gae-broker.toml").write_text("drain_timeout = '9s'\n")
    words = ("config", "show", "--prefix", "eu", "--target", "http://h", "--target", "b=m:app", "--format", "json")
    found = cli(*words, env={"GAE_BROKER_TOMBSTONE": "9d"}).data["settings"]
    assert list(found) == [key(name) for name in OPTIONS]
    shown = {name: (item["value"], item["source"]) for name, item in found.items() if item["source"] != "default"}
    assert shown == {
        "drain_timeout": ("9s", "gae-broker.toml"),
        "prefix": ("eu", "flag"),
        "targets": ("default=http://h,b=m:app", "flag"),
        "tombstone": ("9d", "GAE_BROKER_TOMBSTONE"),
    }
    assert cli("config", "show").out.splitlines()[0].split() == ["SETTING", "VALUE", "SOURCE", "VARIABLE"]


def statuses(data: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {item["name"]: item["status"] for item in data["checks"]}


def test_check_of_a_sound_installation(cli) -> None:
    assert "the next process that starts" in cli("check").out
    cli("queues", "list")
    found = cli("check", "--format", "json")
    assert found.code == 0
    assert found.data["ok"] is True
    assert set(statuses(found.data).values()) == {"ok"}
    assert {"settings", "queue.yaml", "broker", "ledger"} <= set(statuses(found.data))


def test_check_warns_of_what_is_probably_not_meant(cli, home: Path) -> None:
    (home / "queue.yaml").unlink()
    found = cli("check", "--target", "http://localhost:1", "--format", "json", env={"GAE_BROKER_URLS": "x"})
    texts = {item["text"] for item in found.data["checks"] if item["status"] == "warning"}
    assert found.code == 0
    assert "GAE_BROKER_URLS is not a setting; did you mean GAE_BROKER_URL?" in texts
    assert "no queue.yaml: only the queue 'default' exists" in texts
    assert any(text.startswith("http://localhost:1 does not accept connections") for text in texts)


@pytest.mark.parametrize("words", [("config", "show"), ("queues", "list")])
def test_misspelt_variables_are_told(cli, words: tuple[str, ...]) -> None:
    found = cli(*words, env={"GAE_BROKER_URLS": "x"})
    assert (found.code, found.err) == (0, "warning: GAE_BROKER_URLS is not a setting; did you mean GAE_BROKER_URL?\n")


def test_check_of_a_bad_queue_yaml(cli, home: Path) -> None:
    (home / "queue.yaml").write_text("queue:\n- name: a\n  rate: 5\n")
    found = cli("check")
    assert found.code == 4
    assert "queue.yaml:3: rate: found '5'" in found.out


def test_check_of_bad_settings(cli) -> None:
    found = cli("check", env={"GAE_BROKER_PROCESSES": "0"})
    assert (found.code, "failed  settings  processes" in found.out) == (4, True)


def test_check_of_a_store_that_cannot_be_opened(cli) -> None:
    found = cli("check", "--format", "json", env={"GAE_BROKER_LEDGER": "sqlite:////no/such/directory/q.db"})
    assert (found.code, found.data["ok"]) == (3, False)
    assert statuses(found.data)["ledger"] == "failed"


def test_adapters(cli) -> None:
    found = cli("adapters", "--format", "json").data["adapters"]
    assert {"role", "scheme", "reference", "origin"} == set(found[0])
    assert next(item["scheme"] for item in found if item["role"] == "broker") == "embedded"
