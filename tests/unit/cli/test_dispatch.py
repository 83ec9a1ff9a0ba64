"""``gae-broker dispatch`` and ``dev`` where they cannot begin; what they do when they can is tested from outside."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([], 4, "targets: none is set, so no task could be sent anywhere; give --target http://localhost:8000"),
        (["--target", "no_such_module:app"], 4, "cannot import no_such_module"),
        (["--target", "http://localhost:1", "--queues", "nope"], 1, "queue 'nope' is not in queue.yaml"),
        (["--target", "http://localhost:1", "--queues", "mail, inbox"], 1, "queue 'inbox' is a pull queue"),
        (["--target", "http://localhost:1", "--processes", "8-1"], 4, "processes (from flag): found '8-1'"),
        (["--target", "ftp://localhost"], 4, "targets (from flag)"),
    ],
)
def test_dispatch_that_cannot_begin(cli, words: list[str], code: int, error: str) -> None:
    found = cli("dispatch", *words)
    assert (found.code, error in found.err, "Traceback" in found.err) == (code, True, False)


def test_a_missing_default_target_is_told(cli) -> None:
    found = cli("dispatch", "--target", "other=http://localhost:1", "--queues", "nope")
    assert "there is no target 'default': tasks that name none of other fail" in found.err


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([], 2, "Name the application: --app module:app"),
        (["--app", "a:b", "--port", "66000"], 2, "66000 is not in the range"),
        (["--app", "a:b", "--reset", "--broker-url", "amqp://u:hunter2@h"], 4, "not amqp://u:***@h; purge its queues"),
        (["--app", "a:b", "--reset", "--ledger", "sqlite:///l.db"], 4, "--reset cannot empty a ledger of its own"),
        (["--app", "a:b", "--queues", "none.yaml", "--config", "none.toml"], 4, "none.toml: cannot be read"),
    ],
)
def test_dev_that_cannot_begin(cli, words: list[str], code: int, error: str) -> None:
    found = cli("dev", *words)
    assert (found.code, error in found.err) == (code, True)


def test_reset_removes_the_store(cli, home: Path) -> None:
    cli("tasks", "add", "mail", "--name", "t")
    found = cli("dev", "--app", "no_such_module:app", "--port", "0", "--reset")
    assert (found.code, "gae-broker.db is removed: the store is empty." in found.err) == (4, True)
    assert cli("tasks", "list", "mail").err == "Queue 'mail' has no tasks.\n"
