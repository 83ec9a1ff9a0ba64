"""Sides in processes of their own, asked one script at a time: App Engine's library, and ours by other ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-oracle"
PYTHON = ENVIRONMENT / "bin" / "python"
INSTALLED = ENVIRONMENT / ".installed"
HOW_TO_HAVE_IT = "App Engine's library is not installed in .venv-oracle: run `make oracle` with a network"


class OracleBrokenError(Exception):
    """The oracle could not play a script at all: the script is wrong, or the oracle is."""


class Oracle:
    """One long-lived process, App Engine's library by default."""

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            command or [PYTHON, "-W", "ignore", HERE / "oracle_side.py"],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(self, script: dict[str, Any]) -> list[Any]:
        """What App Engine gives for each statement of a script.

        Raises:
            OracleBrokenError: with its own words.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(script) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise OracleBrokenError(f"the oracle ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "broken" in answer:
            raise OracleBrokenError(answer["broken"])
        records: list[Any] = answer["records"]
        return records

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


WAYS = ("names", "beside", "service")
"""How our implementation is reached from App Engine's names; see `other_sides`."""


def ours(way: str) -> Oracle:
    """Our implementation as a side, reached in one of the `WAYS`."""
    python = sys.executable if way == "names" else PYTHON
    return Oracle(python, "-W", "ignore", HERE / "other_sides.py", way)
