"""How many attempts a target's workers can use at a time."""

from __future__ import annotations

AHEAD_S = 0.05
"""Work that may wait at a target, so that its workers never wait for the broker."""

_MOST_AHEAD = 512
_WEIGHT = 0.05


class Gauge:
    """Estimates from recent durations how many attempts make up `AHEAD_S` of work.

    Slow handlers get as many as there are workers, so that nothing waits in memory; of handlers that take
    microseconds more are sent at once, or the way to the broker and back would be most of their time.
    """

    def __init__(self) -> None:
        self._mean_s = 1.0

    def observe(self, duration_s: float) -> None:
        """Take an attempt's duration into account; a long one at once, a short one by and by."""
        if duration_s > self._mean_s:
            self._mean_s = min(duration_s, 2 * self._mean_s + AHEAD_S)
        else:
            self._mean_s += (duration_s - self._mean_s) * _WEIGHT

    def depth(self, workers: int) -> int:
        """Attempts that so many workers can be given."""
        ahead = int(workers * AHEAD_S / max(self._mean_s, 1e-6))
        return max(workers, min(ahead, _MOST_AHEAD)) if workers > 0 else 0
