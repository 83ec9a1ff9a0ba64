"""The shop's own record of what its handlers did, one JSON line for each run.

Every process appends with one ``write`` to a file opened with ``O_APPEND``, so lines neither mix nor get lost.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PATH_VARIABLE = "SHOP_JOURNAL"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of a handler.

    Attributes:
        kind: which handler.
        item: what it worked on.
        outcome: ``done``, ``failed`` or ``declined``.
        run: which run of the task this was, by the task's own count, 0 for the first.
        at: seconds since the epoch.
        due: the earliest time it was allowed to run, seconds since the epoch; 0 where at once.
    """

    kind: str
    item: str
    outcome: str
    run: int
    at: float
    due: float = 0.0


def record(kind: str, item: str, outcome: str, run: int, due: float = 0.0) -> None:
    """Append one line to the file that the environment names."""
    entry = Entry(kind, item, outcome, run, time.time(), due)
    line = json.dumps(asdict(entry)).encode() + b"\n"
    descriptor = os.open(os.environ[PATH_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read(path: Path, offset: int = 0) -> Iterator[tuple[Entry, int]]:
    """The whole lines behind ``offset``, each with the offset that follows it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield Entry(**json.loads(line)), offset
