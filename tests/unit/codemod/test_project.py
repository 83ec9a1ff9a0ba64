"""Whole programs: which files are looked at, what one says about another, and how files are written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gae_broker.codemod import project
from gae_broker.codemod.project import Migration, migrate

IMPORT = "from google.appengine.api import taskqueue\n"
TESTBED = "from google.appengine.ext import testbed\nbed = testbed.Testbed()\n"
DEFER = "from google.appengine.ext import deferred\n\n\ndeferred.defer(print)\n"
APP = "import webapp2\nfrom google.appengine.ext import deferred\n\n"
APP += "app = webapp2.WSGIApplication([('/_ah/queue/deferred', deferred.TaskHandler)])\n"


def lay(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_yaml", ".yaml")
        path = path if path.suffix else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def changed(migration: Migration, root: Path) -> list[str]:
    return [str(file.path.relative_to(root)) for file in migration.changed]


def whats(migration: Migration) -> list[str]:
    return [remark.what for _, remark in migration.remarks]


def test_hidden_vendored_and_unpacked_folders_are_left_out_unless_named(tmp_path: Path) -> None:
    lay(tmp_path, main=IMPORT, pkg__inner__mod=IMPORT, vendor__other=IMPORT, lib__theirs=IMPORT, venv__mod=IMPORT)
    (tmp_path / "lib" / "theirs-1.0.dist-info").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "hook.py").write_text(IMPORT)
    (tmp_path / "shop.egg-info").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "link.py").symlink_to("main.py")
    migration = migrate([tmp_path])
    assert changed(migration, tmp_path) == ["main.py", "pkg/inner/mod.py"]
    assert sorted(path.name for path in migration.skipped) == ["lib", "vendor", "venv"]
    assert changed(migrate([tmp_path / "vendor", tmp_path / "main.py", tmp_path]), tmp_path) == [
        "vendor/other.py",
        "main.py",
        "pkg/inner/mod.py",
    ]


def test_a_named_file_needs_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(f"#!/usr/bin/env python\n{IMPORT}")
    assert changed(migrate([tmp_path / "script"]), tmp_path) == ["script"]


def test_a_testbed_that_others_use_is_judged_by_what_they_use(tmp_path: Path) -> None:
    child = "from base import Base\n\n\nclass Test(Base):\n    def setUp(self):\n        self.bed.init_%s_stub()\n"
    lay(tmp_path, base=TESTBED, child=child % "taskqueue")
    assert changed(migrate([tmp_path]), tmp_path) == ["base.py"]
    lay(tmp_path, other=child % "memcache")
    migration = migrate([tmp_path])
    assert changed(migration, tmp_path) == []
    assert whats(migration) == ["testbed is used for other services too: memcache"]


def test_deferred_calls_that_nothing_serves_are_said_once(tmp_path: Path) -> None:
    lay(tmp_path, a=DEFER, b=DEFER)
    assert whats(migrate([tmp_path])) == ["defers calls, and nothing here serves /_ah/queue/deferred"]
    assert whats(migrate([tmp_path / "a.py"])) == []  # what serves them may lie elsewhere
    lay(tmp_path, c="from gae_broker_adapters.wsgi import TaskQueueMiddleware\n")
    assert whats(migrate([tmp_path])) == []


def test_an_application_that_another_file_looks_into_is_not_wrapped(tmp_path: Path) -> None:
    route = APP.replace("[(", "[('/', None), (")
    lay(tmp_path, main=route)
    assert whats(migrate([tmp_path])) == []
    lay(tmp_path, test_main="import main\n\nmain.app.get_response('/')\n")
    (what,) = whats(migrate([tmp_path]))
    assert "get_response are used elsewhere" in what


def test_a_second_run_after_writing_changes_nothing(tmp_path: Path) -> None:
    lay(tmp_path, main=APP.replace("[(", "[('/', None), ("), a=DEFER, app_yaml="a: 1\nbuiltins:\n- deferred: on\n")
    for file in migrate([tmp_path]).changed:
        project.write(file)
    again = migrate([tmp_path])
    assert (changed(again, tmp_path), whats(again)) == ([], [])
    assert (tmp_path / "app.yaml").read_text() == "a: 1\n"


def test_writing_keeps_permissions_and_follows_links(tmp_path: Path) -> None:
    lay(tmp_path, real__main=IMPORT)
    target = tmp_path / "real" / "main.py"
    target.chmod(0o750)
    link = tmp_path / "main.py"
    link.symlink_to(target)
    (file,) = migrate([link]).changed
    project.write(file)
    assert target.read_text() == "from gae_broker import taskqueue\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert link.is_symlink()
    assert [path.name for path in target.parent.iterdir()] == ["main.py"]


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, main=IMPORT)
    (file,) = migrate([tmp_path]).changed

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        project.write(file)
    assert (tmp_path / "main.py").read_text() == IMPORT
    assert [path.name for path in tmp_path.iterdir()] == ["main.py"]


def test_the_diff_is_a_patch(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(b"a = 1\x0c\n" + IMPORT.strip().encode())
    (file,) = migrate([tmp_path]).changed
    assert file.diff.splitlines(keepends=True)[2:] == [
        "@@ -1,2 +1,2 @@\n",
        " a = 1\x0c\n"[:7],
        "\n",
        "-from google.appengine.api import taskqueue\n",
        "\\ No newline at end of file\n",
        "+from gae_broker import taskqueue\n",
        "\\ No newline at end of file\n",
    ]
