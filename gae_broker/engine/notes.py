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

_WIDTHS_US = ((3600 * _US, _US), (86_400 * _US, 10 * _US), (1 << 62, 60 * _US))
"""(delay up to, width): tasks are counted together that are due within the same second, ten seconds, or minute."""

_SEEN_STEP_US = 10 * _US
_MOST = 100_000
"""Entries that are kept while the ledger does not answer; what comes on top is not counted."""

_Slot = tuple[str, int, int]


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
        self._delayed: dict[_Slot, Delayed] = {}
        self._seen: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def delayed(self, queue: str, dues_us: Iterable[int], created_us: int) -> None:
        """Count tasks without a row that were added, by their due times; those that are due at once do not count."""
        if self._pid != os.getpid():
            self._forget()
        now_us = self._clock.now_us()
        noted = False
        with self._lock:
            for due_us in dues_us:
                delay_us = due_us - now_us
                if delay_us < _WORTH_COUNTING_US:
                    continue
                width_us = next(width for limit, width in _WIDTHS_US if delay_us <= limit)
                until_us = -(-due_us // width_us) * width_us
                self._count(Delayed(queue, until_us, width_us, 1, due_us, created_us))
                noted = True
        if noted:
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
                    self._ledger.count_delayed(list(delayed.values()))
            except errors.Error as exc:
                _log.info("counts of delayed tasks are written later: %s", exc)
                with self._lock:
                    for entry in delayed.values():
                        self._count(entry)
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

    def _count(self, entry: Delayed) -> None:
        slot = entry.queue, entry.until_us, entry.width_us
        there = self._delayed.get(slot)
        if there is None:
            if len(self._delayed) < _MOST:
                self._delayed[slot] = entry
            return
        self._delayed[slot] = Delayed(
            *slot,
            there.tasks + entry.tasks,
            min(there.first_us, entry.first_us),
            max(there.created_us, entry.created_us),
        )
