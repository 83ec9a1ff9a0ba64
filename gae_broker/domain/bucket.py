"""The token bucket that holds a queue to its rate. Time is passed in; tokens are counted, never slept for.

Source: queue.yaml reference, ``rate`` and ``bucket_size``: the bucket holds at most ``bucket_size`` tokens, fills
at ``rate`` and gives one for each attempt, retries included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

BUSY_S = 0.05
"""For so long after a dispatch the queue counts as busy, see `Bucket`."""

_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's state at one moment.

    A dispatcher needs some milliseconds between a token and the next message. Where ``size`` tokens last
    for less than that (500/s and a bucket of 5: 10 ms), a strict bucket would overflow in the meantime and the
    queue would run below its rate. So a busy queue's bucket holds `BUSY_S` worth of tokens, if that is more than
    ``size``; a queue that was idle never bursts by more than ``size``.

    Attributes:
        rate_per_s: tokens gained per second; 0 gives none.
        size: capacity in tokens, 1 at least.
        tokens: content at ``at_us``.
        at_us: the moment described, in microseconds of any clock that only goes forward.
        busy_until_us: until then the queue counts as busy.
    """

    rate_per_s: float
    size: int
    tokens: float
    at_us: int
    busy_until_us: int = 0

    def available(self, now_us: int) -> int:
        """Whole tokens in the bucket."""
        return int(self.refilled(now_us).tokens)

    def refilled(self, now_us: int) -> Bucket:
        """The bucket as it is at ``now_us``; a clock that went backwards adds nothing."""
        elapsed_us = max(now_us - self.at_us, 0)
        tokens = min(self.tokens + elapsed_us * self.rate_per_s / _US, self.capacity(now_us))
        return replace(self, tokens=tokens, at_us=now_us)

    def take(self, count: int, now_us: int) -> Bucket:
        """The bucket after ``count`` attempts began.

        Raises:
            ValueError: there are fewer tokens.
        """
        bucket = self.refilled(now_us)
        if count > bucket.tokens:
            raise ValueError(f"{count} tokens wanted, {bucket.tokens} there")
        return replace(bucket, tokens=bucket.tokens - count, busy_until_us=now_us + round(BUSY_S * _US))

    def give_back(self, count: int, now_us: int) -> Bucket:
        """The bucket after ``count`` attempts turned out not to begin."""
        bucket = self.refilled(now_us)
        return replace(bucket, tokens=min(bucket.tokens + count, bucket.capacity(now_us)))

    def wait_s(self, count: int, now_us: int) -> float:
        """Seconds until ``count`` tokens are there, rounded up to a microsecond; infinite where they never are."""
        bucket = self.refilled(now_us)
        missing = count - bucket.tokens
        if missing <= 0:
            return 0.0
        if self.rate_per_s <= 0 or count > self.capacity(now_us):
            return math.inf
        return math.ceil(missing / self.rate_per_s * _US) / _US

    def configured(self, rate_per_s: float, size: int, now_us: int) -> Bucket:
        """The bucket under another rate or size: it keeps what it holds, as far as that fits."""
        if rate_per_s == self.rate_per_s and size == self.size:
            return self
        bucket = replace(self.refilled(now_us), rate_per_s=rate_per_s, size=max(size, 1))
        return replace(bucket, tokens=min(bucket.tokens, bucket.capacity(now_us)))

    def capacity(self, now_us: int) -> float:
        """How many tokens the bucket holds at most."""
        busy = self.rate_per_s * BUSY_S if now_us < self.busy_until_us else 0.0
        return max(float(self.size), busy)


def full(rate_per_s: float, size: int, now_us: int) -> Bucket:
    """A queue's bucket when its first owner starts: one burst of ``size`` is allowed."""
    return Bucket(rate_per_s, max(size, 1), float(max(size, 1)), now_us)


def empty(rate_per_s: float, size: int, now_us: int) -> Bucket:
    """A queue's bucket after a take-over: the owner before may just have spent a burst."""
    return Bucket(rate_per_s, max(size, 1), 0.0, now_us)
