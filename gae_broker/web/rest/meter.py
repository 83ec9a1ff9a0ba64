"""Counts the tasks that were leased lately."""

from __future__ import annotations

import threading
from collections import defaultdict, deque

_US = 1_000_000
_SLOT_US = 5 * _US
MINUTE_US = 60 * _US
HOUR_US = 3600 * _US


class LeaseMeter:
    """How many tasks this process leased, by queue, in slots of 5 seconds; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, deque[tuple[int, int]]] = defaultdict(deque)

    def add(self, queue: str, tasks: int, now_us: int) -> None:
        """So many tasks were leased now."""
        with self._lock:
            slots = self._slots[queue]
            slot = now_us // _SLOT_US
            if slots and slots[-1][0] == slot:
                tasks += slots.pop()[1]
            slots.append((slot, tasks))
            while slots[0][0] <= slot - HOUR_US // _SLOT_US:
                slots.popleft()

    def leased(self, queue: str, within_us: int, now_us: int) -> int:
        """How many tasks were leased within this time, an hour at most."""
        with self._lock:
            after = (now_us - within_us) // _SLOT_US
            return sum(tasks for slot, tasks in self._slots.get(queue, ()) if slot > after)
