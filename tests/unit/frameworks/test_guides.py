"""The how-to guides of the frameworks: their files, as they stand in them, run by a pytest of their own."""

from __future__ import annotations

import re
from pathlib import Path

import django
import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parents[3]
FILES = re.compile(r"^```\w+\n# (\S+\.\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("guide", "passed"), [("flask", 2), ("django", 3)])
def test_its_files_pass(guide: str, passed: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.findall((ROOT / "docs" / "how-to" / f"{guide}.md").read_text()):
        if django.VERSION < (6, 0):
            text = text.replace("from django.tasks import", "from django_tasks import")  # noqa: PLW2901 - as it says
        (pytester.path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'adapters'}:{pytester.path}")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "gae_broker.testing.plugin")
    result.assert_outcomes(passed=passed)
