"""What a process learns by the way and the ledger should know, collected in memory and written about once a second.

Two things, neither of which may slow a call down or fail it: how many unnamed tasks were added to wait (of which a
broker like RabbitMQ can say nothing), and how far queues were read (so that rows whose copies are gone may go).
What is lost with a process is a second's worth: figures are too low until those tasks are due, rows stay longer.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from gae_broker import errors
from gae_broker.ports import Census, Clock, Delayed, Watch

_log = logging.getLogger(__name__)
_US = 1_000_000
_WORTH_COUNTING_US = _US
"""Who waits less is due before anybody could read the figure."""

_HOUR_US, _DAY_US = 3600 * _US, 86_400 * _US

_SEEN_STEP_US = 10 * _US
_MOST = 100_000
"""Entries that are kept while the ledger does not answer; what comes on top is not counted."""

_Slot = tuple[str, int, int]
_Count = list[int]
"""Tasks, the smallest due time, and the latest creation: a list, as it changes with every task that is added."""


class NoteTaker(Census, Watch, Protocol):
    """A ledger, as far as it takes notes."""


class Notes:
    """Collects; safe to use from several threads, and in a forked child, which begins with nothing.

    Args:
        ledger: where notes go.
        clock: tells how long tasks wait.
        counts: whether delayed tasks are to be counted, because the broker cannot.
    """

    def __init__(self, ledger: NoteTaker, clock: Clock, *, counts: bool) -> None:
        self.counts = counts
        self.wake: Callable[[], None] = lambda: None
        self._ledger = ledger
        self._clock = clock
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._delayed: dict[_Slot, _Count] = {}
        self._seen: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def delayed(self, queue: str, dues_us: Iterable[int], created_us: int) -> None:
        """Count tasks without a row that were added, by their due times; those that are due at once do not count."""
        if self._pid != os.getpid():
            self._forget()
        now_us = self._clock.now_us()
        waiting = [due_us for due_us in dues_us if due_us - now_us >= _WORTH_COUNTING_US]
        if not waiting:
            return
        with self._lock:
            for due_us in waiting:
                width_us = _width_us(due_us - now_us)
                self._count((queue, -(-due_us // width_us) * width_us, width_us), 1, due_us, created_us)
        self.wake()

    def seen(self, queue: str, until_us: int) -> None:
        """Every copy that entered the queue before then was delivered, to this process or another."""
        if self._pid != os.getpid():
            self._forget()
        if until_us > self._told.get(queue, 0) + _SEEN_STEP_US:
            with self._lock:
                self._seen[queue] = max(until_us, self._seen.get(queue, 0))
            self.wake()

    def flush(self) -> None:
        """Write what was collected; nothing is raised where the ledger does not answer: it is tried again."""
        if self._pid != os.getpid():
            self._forget()
        with self._flushing:
            with self._lock:
                delayed, self._delayed = self._delayed, {}
                seen, self._seen = self._seen, {}
            try:
                if delayed:
                    self._ledger.count_delayed([Delayed(*slot, *count) for slot, count in delayed.items()])
            except errors.Error as exc:
                _log.info("counts of delayed tasks are written later: %s", exc)
                with self._lock:
                    for slot, count in delayed.items():
                        self._count(slot, *count)
            try:
                if seen:
                    self._ledger.seen(seen)
                    self._told |= seen
            except errors.Error as exc:
                _log.info("how far queues were read is written later: %s", exc)
                with self._lock:
                    self._seen = {
                        queue: max(seen.get(queue, 0), self._seen.get(queue, 0)) for queue in seen | self._seen
                    }

    def _count(self, slot: _Slot, tasks: int, first_us: int, created_us: int) -> None:
        there = self._delayed.get(slot)
        if there is not None:
            there[0] += tasks
            there[1] = min(there[1], first_us)
            there[2] = max(there[2], created_us)
        elif len(self._delayed) < _MOST:
            self._delayed[slot] = [tasks, first_us, created_us]


def _width_us(delay_us: int) -> int:
    """Tasks are counted together that are due within the same second, ten seconds, or minute."""
    if delay_us <= _HOUR_US:
        return _US
    return 10 * _US if delay_us <= _DAY_US else 60 * _US
