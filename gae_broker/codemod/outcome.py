"""What becomes of one file, and what its neighbours say about it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from gae_broker.codemod.remark import Remark


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the other files of a run say about each.

    Attributes:
        services: what is initialised on testbeds that are made in other files.
        inspected: whether a file uses members of a WSGIApplication that a middleware around it has not.
    """

    services: frozenset[str] = frozenset()
    inspected: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file, looked at.

    Attributes:
        data: the file as it shall be.
        remarks: what is left to do in it.
        encoding: of the file.
        defers: the line of its first deferred call, ``None`` where there is none.
    """

    data: bytes
    remarks: tuple[Remark, ...] = ()
    encoding: str = "utf-8"
    defers: int | None = None


def diff(path: str, before: bytes, after: bytes, encoding: str) -> str:
    """The difference as a unified diff, which ``patch -p1`` and ``git apply`` take."""
    old, new = (_lines(data.decode(encoding, "replace")) for data in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Lines with their ends; str.splitlines would also split at form feeds, which old files have between classes."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
