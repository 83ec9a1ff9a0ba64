"""Creation times and purge marks, which must not meet at one microsecond.

A purge voids the tasks created at or before its mark. A clock that stands still, as in a test, or a coarse one
would let a task added after the purge bear the mark's own time and vanish; so within a process a task's creation
time is always later than the latest purge, and a purge's mark not before the latest creation.
"""

from __future__ import annotations

import threading

from gae_broker.ports import Clock


class Stamps:
    """Issues creation times and purge marks, per queue.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._marks: dict[str, int] = {}
        self._latest: dict[str, int] = {}

    def now_us(self) -> int:
        """The time."""
        return self._clock.now_us()

    def created_us(self, queue: str) -> int:
        """The creation time of a task added now."""
        now_us = self._clock.now_us()
        with self._lock:
            created_us = max(now_us, self._marks.get(queue, 0) + 1)
            self._latest[queue] = max(created_us, self._latest.get(queue, 0))
        return created_us

    def purged_us(self, queue: str) -> int:
        """The mark of a purge that happens now."""
        now_us = self._clock.now_us()
        with self._lock:
            mark_us = max(now_us, self._marks.get(queue, 0), self._latest.get(queue, 0))
            self._marks[queue] = mark_us
        return mark_us
