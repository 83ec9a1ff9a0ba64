"""How a queue is doing."""

from __future__ import annotations

from dataclasses import dataclass

from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.engine.catalog import Catalog, kind_of
from gae_broker.engine.notes import Notes
from gae_broker.ports import Browser, Clock, Depth, Ledger, Report

_REPORT_AGE_US = 15_000_000
"""A dispatcher reports once a second; an older report is of one that is gone."""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """A queue's figures.

    Attributes:
        tasks: all that it holds, leased, delayed and running ones too. Where the broker cannot count what waits
            (RabbitMQ), the ledger does: unnamed delayed tasks appear there within a second or so, and one that was
            deleted before it was due stays counted until then.
        oldest_eta_us: the smallest eta, which may be in the future; ``None`` where the queue is empty, or nothing
            tells. Of RabbitMQ's tasks that are due, it is the eta up to which they were taken: the oldest that
            waits is not older.
        executed_last_minute: attempts finished, over the last 60 s; 0 for pull queues.
        in_flight: attempts under way; 0 for pull queues.
        enforced_rate: dispatches per second that are allowed now; 0 for pull queues and paused ones.
    """

    tasks: int
    oldest_eta_us: int | None
    executed_last_minute: int
    in_flight: int
    enforced_rate: float


class Statistician:
    """Collects figures.

    Args:
        browser: a broker, to count tasks.
        ledger: counts the tagged tasks and what the broker cannot count, and keeps the dispatchers' reports.
        catalog: which queues there are.
        clock: the time.
        notes: this process's own, which count too.
    """

    def __init__(self, browser: Browser, ledger: Ledger, catalog: Catalog, clock: Clock, notes: Notes) -> None:
        self._browser = browser
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock
        self._notes = notes

    def dead(self, queue: str) -> int:
        """How many of a queue's tasks were given up and wait for an operator.

        Raises:
            UnknownQueueError: there is no such queue.
            PermissionDeniedError: the broker does not let this user see.
            TransientError: the broker did not answer.
        """
        depth = self._browser.depth(Kind.DEAD, self._catalog.get(queue).name)
        return depth.ready + (depth.unacked or 0)

    def fetch(self, queue: str) -> QueueFigures:
        """A queue's figures as they are now.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: broker or ledger did not answer.
        """
        config = self._catalog.get(queue)
        depth = self._browser.depth(kind_of(config), queue)
        delayed, oldest_us = self._waiting(config, depth)
        tasks = depth.ready + delayed
        if config.mode is Mode.PULL:
            held, held_eta_us = self._ledger.held_depth(queue)
            etas = [eta_us for eta_us in (oldest_us, held_eta_us) if eta_us is not None]
            return QueueFigures(tasks + (depth.unacked or 0) + held, min(etas, default=None), 0, 0, 0.0)
        control = self._ledger.control(queue)
        rate = 0.0 if control.paused else config.rate_per_s
        report = self._fresh(control.report)
        in_flight = 0 if report is None else report.in_flight
        unacked = in_flight if depth.unacked is None else depth.unacked
        if report is None:
            return QueueFigures(tasks + unacked, oldest_us, 0, unacked, rate)
        enforced = min(rate, report.enforced_rate)
        return QueueFigures(tasks + unacked, oldest_us, report.executed_last_minute, in_flight, enforced)

    def _waiting(self, config: Queue, depth: Depth) -> tuple[int, int | None]:
        """How many tasks are delayed, and the smallest eta of those and the ready ones."""
        if depth.delayed is not None:
            return depth.delayed, depth.oldest_due_us
        self._notes.flush()
        now_us = self._clock.now_us()
        delayed, smallest_us = self._ledger.waiting(config.name, now_us)
        if not depth.ready:
            # What has a row and is due is in a worker's hands.
            return delayed, smallest_us
        taken_us = min(self._ledger.seen_us(config.name), now_us)
        return delayed, min((us for us in (smallest_us, taken_us) if us), default=None)

    def _fresh(self, report: Report | None) -> Report | None:
        """A report, unless whoever made it is gone."""
        if report is None or self._clock.now_us() - report.reported_us > _REPORT_AGE_US:
            return None
        return report
