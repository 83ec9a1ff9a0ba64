"""How many attempts a target's workers can use at a time."""

from __future__ import annotations

AHEAD_S = 0.05
"""Work that may wait at a target, so that its workers never wait for the broker."""

_MOST_AHEAD = 512
_WEIGHT = 0.05
_SHORTEST_S = 1e-6
_SLOW_S = 1.0


class Gauge:
    """Estimates from recent durations how many attempts make up `AHEAD_S` of work.

    Slow handlers get as many as there are workers, so that nothing waits in memory; of handlers that take
    microseconds more are sent at once, or the way to the broker and back would be most of their time.
    """

    def __init__(self) -> None:
        self._mean_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Take an attempt's duration into account; a long one at once, a short one by and by."""
        if not self._mean_s:
            self._mean_s = max(duration_s, _SHORTEST_S)
        elif duration_s > self._mean_s:
            self._mean_s = min(duration_s, 2 * self._mean_s + AHEAD_S)
        else:
            self._mean_s += (duration_s - self._mean_s) * _WEIGHT

    def stalled(self) -> None:
        """Something waited in vain: handlers are slow now, whatever those before were."""
        self._mean_s = max(self._mean_s, _SLOW_S)

    def depth(self, workers: int) -> int:
        """Attempts that so many workers can be given."""
        if workers <= 0:
            return 0
        ahead = int(workers * AHEAD_S / max(self._mean_s, _SHORTEST_S)) if self._mean_s else 0
        return max(workers, min(ahead, _MOST_AHEAD))
