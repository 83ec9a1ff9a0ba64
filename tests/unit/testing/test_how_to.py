"""The how-to guide about testing: its files, as they stand in it, run by a pytest of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gae_broker.testing.bench import TaskBench

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parents[3]
FILES = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BENCH_MEMBERS = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)


@pytest.fixture
def guide() -> str:
    return (ROOT / "docs" / "how-to" / "test.md").read_text()


def test_its_files_pass(guide: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    files = FILES.findall(guide)
    assert {name for name, _ in files} >= {"conftest.py", "shop.py", "test_shop.py", "test_old.py", "queue.yaml"}
    for name, text in files:
        (pytester.path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'adapters'}:{pytester.path}")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "gae_broker.testing.plugin")
    result.assert_outcomes(passed=4)


def test_it_names_what_a_bench_has(guide: str) -> None:
    named = {re.split(r"\W", member)[0] for line in BENCH_MEMBERS.findall(guide) for member in line.split("`, `")}
    public = {name for name in dir(TaskBench) if not name.startswith("_")}
    unnamed = {"close", "copies", "forget", "install"}
    assert named - {"gae_tasks", "runtime"} == public - unnamed
