"""A clock that tests move."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

_US = 1_000_000
_SAME_MOMENT_US = 1_000


class VirtualClock:
    """Time that goes on like the process's own, plus what a test adds with `advance`.

    It starts at the real now and ticks with ``gettime``, so that ``time.sleep``, freezegun and time-machine have the
    effect they have on the rest of the test, and etas that an application computes from the system's clock come
    due when they should. `hold` stops it where a test wants exact figures.

    Two readings are never equal: App Engine leases only tasks whose eta is *before* now, so a task added and
    leased within one tick would otherwise not be found.

    Args:
        gettime: seconds since the epoch; ``None`` is `time.time`, looked up at each reading.
    """

    def __init__(self, gettime: Callable[[], float] | None = None) -> None:
        self._lock = threading.Lock()
        self._gettime = gettime
        self._offset_us = 0
        self._held_us: int | None = None
        self._last_us = 0
        self._last_read_us = 0

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        with self._lock:
            if self._held_us is not None:
                self._held_us += 1
                return self._held_us
            read_us = self._read_us()
            same = read_us == self._last_read_us or 0 <= self._last_us - read_us < _SAME_MOMENT_US
            self._last_us = self._last_us + 1 if same else read_us
            self._last_read_us = read_us
            return self._last_us

    def time(self) -> float:
        """Seconds since the epoch, as `time.time` would say."""
        return self.now_us() / _US

    def advance(self, by: float | timedelta) -> None:
        """Let time pass: seconds, or a timedelta.

        Raises:
            ValueError: time does not run backwards.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        if not seconds >= 0:
            raise ValueError(f"time cannot be advanced by {seconds!r} seconds: a number of at least 0 is needed")
        with self._lock:
            self._shift_us(round(seconds * _US))

    def advance_to_us(self, then_us: int) -> None:
        """Let time pass until ``then_us``; nothing happens where that is over."""
        with self._lock:
            now_us = self._read_us() if self._held_us is None else self._held_us
            if then_us > now_us:
                self._shift_us(then_us - now_us)

    def hold(self) -> None:
        """Stand still, but for one microsecond each reading and what `advance` adds."""
        with self._lock:
            if self._held_us is None:
                self._held_us = max(self._read_us(), self._last_us)

    def release(self) -> None:
        """Go on ticking, from the moment it stands at."""
        with self._lock:
            if self._held_us is not None:
                self._offset_us += self._held_us - self._read_us()
                self._held_us = None

    @property
    def held(self) -> bool:
        """Whether it stands still."""
        return self._held_us is not None

    def follow(self, gettime: Callable[[], float] | None) -> None:
        """Take another source of time, whatever was advanced before; ``None`` is `time.time`."""
        with self._lock:
            self._gettime = gettime
            self._offset_us = 0
            self._held_us = None
            self._last_us = self._last_read_us = 0

    def _shift_us(self, by_us: int) -> None:
        if self._held_us is None:
            self._offset_us += by_us
        else:
            self._held_us += by_us

    def _read_us(self) -> int:
        seconds = time.time() if self._gettime is None else self._gettime()
        return round(seconds * _US) + self._offset_us
