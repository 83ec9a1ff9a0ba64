"""A command line on an embedded store of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing
import pytest

from gae_broker.cli import root

QUEUES = """\
queue:
- name: mail
  rate: 10/m
  bucket_size: 20
  target: worker
  retry_parameters:
    task_retry_limit: 7
- name: stopped
  rate: 0
- name: inbox
  mode: pull
  acl:
  - user_email: worker@example.com
"""


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Run]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a queue.yaml, and an environment without any of our variables."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queue.yaml").write_text(QUEUES)
    return tmp_path


@pytest.fixture
def cli(home: Path) -> Cli:
    """Runs a command line; what it raises that nobody foresaw fails the test."""

    def run(*words: str, env: dict[str, str] | None = None, text: str | bytes | None = None) -> Run:
        result = click.testing.CliRunner().invoke(root, words, env=env, input=text, prog_name="gae-broker")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Run(result.exit_code, result.stdout, result.stderr)

    return run
