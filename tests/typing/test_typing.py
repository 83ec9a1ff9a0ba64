"""The public types, as an application's own type checker sees them."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "pyproject.toml"
_ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)
_EXPECTED = re.compile(r"# error: (?P<code>[a-z-]+)$")


def errors(path: Path) -> tuple[list[tuple[int, str]], str]:
    output, problems, _ = api.run(
        ["--config-file", str(CONFIG), "--no-error-summary", "--hide-error-context", str(path)]
    )
    assert problems == ""
    return [(int(match["line"]), match["code"]) for match in _ERROR.finditer(output)], output


def test_what_applications_write_is_accepted():
    found, output = errors(HERE / "accepted.py")
    assert found == [], output


def test_what_would_fail_is_rejected():
    expected = [
        (number, match["code"])
        for number, line in enumerate((HERE / "rejected.py").read_text().splitlines(), 1)
        if (match := _EXPECTED.search(line))
    ]
    found, output = errors(HERE / "rejected.py")
    assert found == expected, output
