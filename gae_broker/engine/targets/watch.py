"""Running attempts, their deadlines, and those that were given up although their thread goes on."""

from __future__ import annotations

import time

from gae_broker.domain.headers import HttpRequest

_US = 1_000_000


class Watch:
    """Used by the threads that run attempts and the one that looks for overdue ones.

    A dict's and a set's single operations are atomic in Python, and nothing else is relied on here.
    """

    def __init__(self) -> None:
        self._running: dict[int, tuple[float, HttpRequest]] = {}
        self._lost: set[int] = set()

    @property
    def lost(self) -> int:
        """Attempts that were given up and still run."""
        return len(self._lost)

    @property
    def running(self) -> int:
        """Attempts that run and count."""
        return len(self._running)

    def begin(self, number: int, request: HttpRequest) -> None:
        """An attempt begins now."""
        self._running[number] = (time.monotonic() + request.deadline_us / _US, request)

    def end(self, number: int) -> bool:
        """An attempt ended; whether it still counts, that is, was not given up meanwhile."""
        counts = self._running.pop(number, None) is not None
        self._lost.discard(number)
        return counts

    def give_up(self, grace_s: float = 0.0) -> list[tuple[int, HttpRequest]]:
        """Give up attempts that are more than ``grace_s`` over their deadline."""
        limit_s = time.monotonic() - grace_s
        overdue = [(number, request) for number, (end_s, request) in list(self._running.items()) if end_s < limit_s]
        given_up = []
        for number, request in overdue:
            # First counted as lost, then taken: an attempt that ends in between takes itself out again.
            self._lost.add(number)
            if self._running.pop(number, None) is None:
                self._lost.discard(number)
            else:
                given_up.append((number, request))
        return given_up
