"""Says where two records differ, path by path, so that a failure can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.parity import player
from tests.parity.oracle import Oracle
from tests.parity.our_side import OurSide


def play_both(oracle: Oracle, script: dict[str, Any]) -> list[tuple[Any, Any]]:
    """App Engine's record and ours for each statement of a script."""
    theirs = oracle.play(script)
    ours = json.loads(json.dumps(player.play(OurSide, script)))
    return list(zip(theirs, ours, strict=True))


def changes(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """One line for each place where the records differ."""
    if type(theirs) is type(ours) is dict and theirs.keys() == ours.keys():
        for key in theirs:
            yield from changes(theirs[key], ours[key], f"{path}.{key}")
    elif type(theirs) is type(ours) is list and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from changes(one, other, f"{path}[{index}]")
    elif theirs != ours:
        yield f"    {path or 'it'}: App Engine {json.dumps(theirs)}, ours {json.dumps(ours)}"
