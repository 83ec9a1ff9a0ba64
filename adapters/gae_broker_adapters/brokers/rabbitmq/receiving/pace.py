"""How a subscription is asked for deliveries, and what follows for its consumer; pure.

A fast queue is asked again within milliseconds, and does best with some deliveries at hand by then. A slow one (one
task an hour, or one at a time that takes minutes) must not hold a delivery before it is asked for: RabbitMQ would take
it for one whose worker hangs.
"""

from __future__ import annotations

from collections import deque

SLOW_S = 0.2
"""A queue that is not asked again for so long is slow."""
IDLE_S = 1.0
"""After so long without a demand nothing is kept at hand, however fast the queue was."""
LARGEST = 5000
"""The largest prefetch."""
_AHEAD_S = 0.25
_WINDOW_S = 1.0


class Pace:
    """What one subscription's demands and deliveries say of its pace; ``now_s`` is any clock that goes forward."""

    def __init__(self) -> None:
        self._idle_since_s: float | None = 0.0
        self._was_slow = True
        self._delivered: deque[tuple[float, int]] = deque()

    def idle(self, now_s: float) -> None:
        """Nothing is asked for any more."""
        if self._idle_since_s is None:
            self._idle_since_s = now_s

    def asked(self, now_s: float) -> None:
        """Something is asked for."""
        if self._idle_since_s is not None:
            self._was_slow = now_s - self._idle_since_s > SLOW_S
            self._idle_since_s = None

    def delivered(self, count: int, now_s: float) -> None:
        """So many were handed over."""
        self._delivered.append((now_s, count))

    def is_slow(self, now_s: float) -> bool:
        """Whether the next demand may be far away."""
        return self._was_slow or self.idle_s(now_s) > SLOW_S

    def idle_s(self, now_s: float) -> float:
        """How long nothing has been asked for."""
        return 0.0 if self._idle_since_s is None else now_s - self._idle_since_s

    def prefetch(self, needed: int, now_s: float) -> int:
        """The prefetch for a consumer of which ``needed`` are held by the engine or asked for.

        Of a fast queue a quarter of a second's deliveries are kept at hand besides, and at most as many again.
        """
        while self._delivered and self._delivered[0][0] < now_s - _WINDOW_S:
            self._delivered.popleft()
        ahead = 0 if self.is_slow(now_s) else round(sum(count for _, count in self._delivered) * _AHEAD_S / _WINDOW_S)
        return max(min(needed + min(ahead, needed), LARGEST), 1)
