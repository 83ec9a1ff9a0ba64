"""``gae-broker migrate`` at the terminal."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

OLD = "from google.appengine.api import taskqueue\n"
NEW = "from gae_broker import taskqueue\n"
LEFT = "from google.appengine.api.taskqueue import taskqueue_stub\n"


def test_it_shows_and_writes_only_when_asked(cli, home: Path) -> None:
    (home / "main.py").write_text(OLD)
    run = cli("migrate", ".")
    assert run.code == 0
    assert run.out == f"--- a/main.py\n+++ b/main.py\n@@ -1 +1 @@\n-{OLD}+{NEW}"
    assert run.err == "2 files looked at: 1 file would change; --write changes them; nothing is left to do.\n"
    assert (home / "main.py").read_text() == OLD
    run = cli("migrate", ".", "--write")
    assert (run.code, run.err) == (0, "2 files looked at: 1 file changed; nothing is left to do.\n")
    assert (home / "main.py").read_text() == NEW
    run = cli("migrate", "--write", ".")
    assert (run.code, run.out, run.err) == (0, "", "2 files looked at: nothing to change; nothing is left to do.\n")


def test_what_remains_is_listed_and_ends_with_1(cli, home: Path) -> None:
    (home / "main.py").write_text(OLD + LEFT)
    run = cli("migrate", "--write", "main.py")
    assert run.code == 1
    assert run.err.splitlines()[0] == "main.py:2: gae_broker.taskqueue has no taskqueue_stub"
    assert run.err.endswith("1 file looked at: 1 file changed; 1 place left to you.\n")
    assert cli("migrate", "main.py", "--quiet").err == ""


def test_json(cli, home: Path) -> None:
    (home / "main.py").write_text(OLD + LEFT)
    run = cli("migrate", "--format", "json", "main.py")
    assert run.code == 1
    assert run.data["looked_at"] == 1
    [changed] = run.data["changed"]
    assert (changed["path"], changed["written"]) == ("main.py", False)
    assert f"+{NEW}" in changed["diff"]
    [left] = run.data["remaining"]
    assert (left["path"], left["line"], left["what"]) == ("main.py", 2, "gae_broker.taskqueue has no taskqueue_stub")
    assert left["todo"]
    assert run.data["failed"] == run.data["skipped"] == []
    assert cli("migrate", "--format", "json", "--write", "main.py").data["changed"][0]["written"] is True


def test_wrong_usage_ends_with_2(cli) -> None:
    assert cli("migrate").code == 2
    run = cli("migrate", "nowhere")
    assert run.code == 2
    assert "'nowhere' does not exist" in run.err


def test_a_file_that_cannot_be_written_ends_with_1(cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "main.py").write_text(OLD)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", denied)
    run = cli("migrate", "--write", ".")
    assert run.code == 1
    assert "main.py could not be written, and is as it was: Permission denied" in run.err


def test_without_the_extra_it_says_what_to_install(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    run = cli("migrate", ".")
    assert run.code == 4
    assert "pip install 'gae-broker[migrate]'" in run.err
