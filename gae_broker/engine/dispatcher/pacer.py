"""How many attempts of a queue may begin now, and otherwise when: its bucket, its throttle and its figures.

Time is passed in, as microseconds of a clock that only goes forward; nothing here waits.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from gae_broker.domain import bucket
from gae_broker.domain.queue import Queue
from gae_broker.domain.throttle import Throttle

_US = 1_000_000
_QUANTUM_S = 0.01
_MINUTE_S = 60
_REPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class Grant:
    """``count`` attempts may begin; if none may, ask again after ``wait_s`` (infinite: nothing to wait for)."""

    count: int
    wait_s: float


class Pacer:
    """Holds one queue to its rate."""

    def __init__(self, queue: Queue, now_us: int) -> None:
        self._queue = queue
        self._throttle = Throttle()
        self._bucket = bucket.empty(queue.rate_per_s, queue.bucket_size, now_us)
        self._finished: deque[tuple[int, int]] = deque()

    def configure(self, queue: Queue) -> None:
        """Apply a changed queue.yaml from the next question on."""
        self._queue = queue

    def own_first(self, now_us: int) -> None:
        """The queue never had a dispatcher before: a full bucket."""
        self._bucket = bucket.full(self._queue.rate_per_s, self._queue.bucket_size, now_us)

    def take_over(self, idle_s: float, now_us: int) -> None:
        """Another dispatcher was last heard of ``idle_s`` ago.

        It may have emptied the bucket just after it reported, so an empty one is what it left, to which is added
        what has flowed in since.
        """
        since_us = now_us - round(max(idle_s - _REPORT_S, 0.0) * _US)
        self._bucket = bucket.empty(self._queue.rate_per_s, self._queue.bucket_size, since_us)

    def grant(self, limit: int, now_us: int) -> Grant:
        """How many of at most ``limit`` attempts may begin.

        Of fast queues some tokens are collected first, so that not every task is a batch of its own.
        """
        if limit <= 0 or self._queue.rate_per_s <= 0:
            return Grant(0, math.inf)
        current = self._current(now_us)
        available = current.available(now_us)
        wanted = min(max(int(current.rate_per_s * _QUANTUM_S), 1), current.size, limit)
        if available >= wanted:
            return Grant(min(available, limit), 0.0)
        return Grant(0, current.wait_s(wanted, now_us))

    def take(self, count: int, now_us: int) -> int:
        """Begin up to ``count`` attempts; how many may."""
        if self._queue.rate_per_s <= 0:
            return 0
        current = self._current(now_us)
        taken = min(count, current.available(now_us))
        if taken:
            self._bucket = current.take(taken, now_us)
        return taken

    def give_back(self, count: int, now_us: int) -> None:
        """So many attempts did not begin after all."""
        if count:
            self._bucket = self._current(now_us).give_back(count, now_us)

    def finished(self, status: int | None, now_us: int) -> None:
        """An attempt ended with this answer."""
        self._throttle = self._throttle.answered(status, now_us)
        second = now_us // _US
        if self._finished and self._finished[-1][0] == second:
            self._finished[-1] = (second, self._finished[-1][1] + 1)
        else:
            self._finished.append((second, 1))

    def executed_last_minute(self, now_us: int) -> int:
        """Attempts that ended in the last 60 seconds."""
        while self._finished and self._finished[0][0] <= now_us // _US - _MINUTE_S:
            self._finished.popleft()
        return sum(count for _, count in self._finished)

    def enforced_rate(self, now_us: int) -> float:
        """Attempts per second that the queue is held to now."""
        return self._throttle.rate(self._queue.rate_per_s, now_us)

    def _current(self, now_us: int) -> bucket.Bucket:
        # Kept at each look, so that a rate that recovers counts from when it changed.
        rate = self.enforced_rate(now_us)
        self._bucket = self._bucket.configured(rate, self._queue.bucket_size, now_us)
        return self._bucket
