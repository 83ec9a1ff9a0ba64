"""A second process that wants the same rows: what two callers never both get needs two real ones.

Run as a module it opens the ledger, says so, waits for a line, works, and answers with one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from typing import cast

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, ClaimResult, Ledger

RIVAL_NAMES = tuple(f"task-{number:04}" for number in range(300))
"""What rivals claim, each all of them, ten at a time."""

_PATIENCE_S = 60.0
_NOW_US = 1_700_000_000_000_000
_AT_ONCE = 10


class Rival:
    """The handle on it."""

    def __init__(self, opener: str, url: str, queue: str, work: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__, opener, url, queue, work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def await_ready(self) -> None:
        """Wait until it could begin."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "ready\n", f"the rival process ended with {line!r}"

    def begin(self) -> None:
        """Let it work."""
        assert self._process.stdin is not None
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()

    def won(self) -> list[str]:
        """The names it got."""
        answer, _ = self._process.communicate(timeout=_PATIENCE_S)
        assert self._process.returncode == 0, f"the rival process ended with {self._process.returncode}"
        return cast("list[str]", json.loads(answer))

    def kill(self) -> None:
        """End it, where it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def race(rivals: list[Rival]) -> list[list[str]]:
    """Let them begin together; what each got."""
    for rival in rivals:
        rival.await_ready()
    for rival in rivals:
        rival.begin()
    return [rival.won() for rival in rivals]


class _FixedClock:
    def now_us(self) -> int:
        return _NOW_US


def claim_all(ledger: Ledger, queue: str, rival: str) -> list[str]:
    """Claim every name; those that were granted."""
    won = []
    for start in range(0, len(RIVAL_NAMES), _AT_ONCE):
        names = RIVAL_NAMES[start : start + _AT_ONCE]
        claims = [Claim(Message(f"{rival}-{n}", Kind.PUSH, queue, n, 0, "{}", b""), True, _NOW_US) for n in names]
        outcomes = ledger.claim(queue, claims, _NOW_US, _NOW_US - 30_000_000)
        won += [n for n, outcome in zip(names, outcomes, strict=True) if outcome.result is ClaimResult.GRANTED]
    return won


def lease_all(ledger: Ledger, queue: str, _: str) -> list[str]:
    """Lease held tasks until there are none; their names."""
    won: list[str] = []
    while ledger.held_ready(queue, 1, _NOW_US):
        won += [held.message.key for held in ledger.lease_held(queue, None, 7, _NOW_US, _NOW_US + 60_000_000)]
    return won


def own(ledger: Ledger, queue: str, rival: str) -> list[str]:
    """Take ownership again and again; the epochs."""
    return [str(ledger.take_ownership(queue, rival)) for _ in range(30)]


def migrate(ledger: Ledger, queue: str, _: str) -> list[str]:
    """Migrate, then write something."""
    ledger.migrate()
    ledger.set_paused(queue, True)
    return ["migrated"]


_WORKS = {"claim": claim_all, "lease": lease_all, "own": own, "migrate": migrate}


def _main(opener: str, url: str, queue: str, work: str) -> None:
    module, _, function = opener.partition(":")
    ledger = cast("Ledger", getattr(import_module(module), function)(url, clock=_FixedClock()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    won = _WORKS[work](ledger, queue, str(os.getpid()))
    sys.stdout.write(json.dumps(won))
    ledger.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
