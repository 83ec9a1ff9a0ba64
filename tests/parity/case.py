"""Parity cases: scripts in tables, one block of lines each, differences marked where they show."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUEUES = """
queue:
- name: pull
  mode: pull
- name: pull-twice
  mode: pull
  retry_parameters:
    task_retry_limit: 2
- name: push
  rate: 5/s
- name: push-limited
  rate: 5/s
  retry_parameters:
    task_retry_limit: 2
    min_backoff_seconds: 10
    max_backoff_seconds: 200
    max_doublings: 0
- name: push-aged
  rate: 5/s
  retry_parameters:
    task_age_limit: 1m
    min_backoff_seconds: 20
- name: push-both
  rate: 5/s
  retry_parameters:
    task_retry_limit: 1
    task_age_limit: 1m
    min_backoff_seconds: 20
    max_doublings: 0
- name: targeted
  rate: 5/s
  target: v2.worker
"""
"""The queues that cases have unless they bring their own."""

_MARK = re.compile(r"#! *([a-z-]+)")


@dataclass(frozen=True)
class Case:
    """One script.

    Attributes:
        name: what it shows.
        lines: the script.
        queue_yaml: its queues.
        environment: variables, over `player.ENVIRONMENT`.
        datastore: whether it needs transactions.
    """

    name: str
    lines: str
    queue_yaml: str = QUEUES
    environment: Mapping[str, str | None] = field(default_factory=dict)
    datastore: bool = False

    @property
    def script(self) -> dict[str, Any]:
        """What a side plays."""
        return {
            "lines": self.lines,
            "queue_yaml": self.queue_yaml,
            "environment": dict(self.environment),
            "datastore": self.datastore,
        }

    @property
    def statements(self) -> list[tuple[str, str | None]]:
        """The text of each statement, and the difference that ``#! id`` at its end announces."""
        lines = self.lines.splitlines()
        found = []
        for node in ast.parse(self.lines).body:
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            mark = _MARK.search(text)
            found.append((text, mark.group(1) if mark else None))
        return found


def table(text: str, **options: Any) -> list[Case]:
    """Cases from a text: a line ``# what it shows`` begins each one."""
    cases = []
    for block in filter(None, re.split(r"^(?=# )", text.strip(), flags=re.MULTILINE)):
        title, _, lines = block.partition("\n")
        assert title.startswith("# "), title
        cases.append(Case(title[2:].strip(), lines.strip(), **options))
    return cases
