"""What the codemod leaves for a person to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_KEEP = re.compile(r"#\s*gae-broker:\s*keep\b")


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """One thing that could not be changed.

    Attributes:
        line: where, from 1.
        what: what stands there, and why it was left.
        todo: what to do about it.
    """

    line: int
    what: str
    todo: str


def kept_lines(lines: Iterable[str]) -> frozenset[int]:
    """The lines that say ``# gae-broker: keep``: they are neither changed nor remarked on."""
    return frozenset(number for number, line in enumerate(lines, 1) if _KEEP.search(line))
