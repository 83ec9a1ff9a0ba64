"""How 503 and 429 answers lower the rate that a queue is held to, and how it recovers.

App Engine calls the result the *enforced rate*; it documents that both answers slow the queue down and that the
rate returns by itself, not the figures. These are ours: an answer halves the rate, once a second at most; without
further such answers it doubles every 10 seconds; it never falls below a hundredth of the configured rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

REFUSALS = frozenset({429, 503})
"""Statuses by which a handler says that it is overloaded."""

DECREASE = 0.5
REACTION_S = 1.0
DOUBLING_S = 10.0
FLOOR = 0.01

_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Throttle:
    """The share of its configured rate that a queue gets.

    Attributes:
        share: the share at ``lowered_us``, from `FLOOR` to 1.
        lowered_us: when it was lowered last; ``None`` while it never was.
    """

    share: float = 1.0
    lowered_us: int | None = None

    def share_at(self, now_us: int) -> float:
        """The share at ``now_us``."""
        if self.lowered_us is None:
            return 1.0
        doublings = max(now_us - self.lowered_us, 0) / _US / DOUBLING_S
        # A float's exponent ends at 1023; a share is whole again long before.
        return min(self.share * math.exp2(min(doublings, 64.0)), 1.0)

    def rate(self, configured_per_s: float, now_us: int) -> float:
        """The enforced rate in attempts per second."""
        return configured_per_s * self.share_at(now_us)

    def answered(self, status: int | None, now_us: int) -> Throttle:
        """The throttle after an answer; only `REFUSALS` change it, and only once per `REACTION_S`."""
        if status not in REFUSALS:
            return self
        if self.lowered_us is not None and now_us - self.lowered_us < REACTION_S * _US:
            return self
        return Throttle(max(self.share_at(now_us) * DECREASE, FLOOR), now_us)
