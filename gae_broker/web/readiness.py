"""Whether a process lives, and whether what it needs is there: `gae_broker.engine.checking`, asked with care."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gae_broker.engine.checking import Finding

FRESH_S = 10.0
"""How long an answer is given again before the checks are made anew; then only one probe at a time makes them."""
STALE_S = 60.0
"""How old an answer may be while new checks are under way."""
_PATIENCE_S = 0.7
"""Kubernetes gives a probe a second."""
_BEAT_S = 1.0
_STUCK_S = 30.0


class Pulse:
    """Tells whether an event loop still turns. Alive until it first beat: what starts may wait for its broker."""

    def __init__(self, stuck_s: float = _STUCK_S) -> None:
        self._stuck_s = stuck_s
        self._last: float | None = None

    async def beat(self) -> None:
        """Beat for as long as the loop runs this."""
        while True:
            self._last = time.monotonic()
            await asyncio.sleep(_BEAT_S)

    def silent_s(self) -> float:
        """Seconds since the last beat; 0 before the first."""
        return 0.0 if self._last is None else time.monotonic() - self._last

    def is_alive(self) -> bool:
        """Whether the latest beat is not too long ago."""
        return self.silent_s() < self._stuck_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What the checks found, and how many seconds ago; no findings: they have not ended yet."""

    findings: tuple[Finding, ...]
    age_s: float

    @property
    def ok(self) -> bool:
        """Whether they ended, and none failed."""
        return bool(self.findings) and not any(finding.failed for finding in self.findings)


class Readiness:
    """Makes the checks in a thread, never two at a time, and answers within a second.

    Args:
        examine: makes them; may take long, and raises nothing.
    """

    def __init__(self, examine: Callable[[], Iterable[Finding]]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._findings: tuple[Finding, ...] = ()
        self._found_s = float("-inf")
        self._running: threading.Event | None = None

    def answer(self) -> Answer:
        """What was found lately; begins new checks where that is too long ago, and waits a little for them."""
        with self._lock:
            if self._running is None and time.monotonic() - self._found_s > FRESH_S:
                self._running = threading.Event()
                threading.Thread(
                    target=self._check, args=(self._running,), name="gae-broker checks", daemon=True
                ).start()
            running = self._running
        if running is not None:
            running.wait(_PATIENCE_S)
        with self._lock:
            age_s = time.monotonic() - self._found_s
            return Answer(self._findings if age_s <= STALE_S else (), age_s)

    def _check(self, ended: threading.Event) -> None:
        try:
            findings = tuple(self._examine())
            with self._lock:
                self._findings, self._found_s = findings, time.monotonic()
        finally:
            with self._lock:
                self._running = None
            ended.set()
