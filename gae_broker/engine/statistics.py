"""How a queue is doing."""

from __future__ import annotations

from dataclasses import dataclass

from gae_broker.domain.queue import Mode
from gae_broker.domain.task import Kind
from gae_broker.engine.catalog import Catalog, kind_of
from gae_broker.ports import Browser, Clock, Ledger

_REPORT_AGE_US = 15_000_000
"""A dispatcher reports once a second; an older report is of one that is gone."""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """A queue's figures.

    Attributes:
        tasks: all that it holds, leased, delayed and running ones too.
        oldest_eta_us: the smallest eta, which may be in the future; ``None`` where the queue is empty, or the
            broker cannot tell.
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
        ledger: counts the tagged tasks, and keeps the dispatchers' reports.
        catalog: which queues there are.
        clock: the time.
    """

    def __init__(self, browser: Browser, ledger: Ledger, catalog: Catalog, clock: Clock) -> None:
        self._browser = browser
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock

    def dead(self, queue: str) -> int:
        """How many of a queue's tasks were given up and wait for an operator.

        Raises:
            UnknownQueueError: there is no such queue.
            PermissionDeniedError: the broker does not let this user see.
            TransientError: the broker did not answer.
        """
        depth = self._browser.depth(Kind.DEAD, self._catalog.get(queue).name)
        return depth.ready + depth.unacked

    def fetch(self, queue: str) -> QueueFigures:
        """A queue's figures as they are now.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: broker or ledger did not answer.
        """
        config = self._catalog.get(queue)
        depth = self._browser.depth(kind_of(config), queue)
        tasks = depth.ready + depth.delayed + depth.unacked
        if config.mode is Mode.PULL:
            held, held_eta_us = self._ledger.held_depth(queue)
            etas = [eta_us for eta_us in (depth.oldest_due_us, held_eta_us) if eta_us is not None]
            return QueueFigures(tasks + held, min(etas, default=None), 0, 0, 0.0)
        control = self._ledger.control(queue)
        rate = 0.0 if control.paused else config.rate_per_s
        report = control.report
        if report is None or self._clock.now_us() - report.reported_us > _REPORT_AGE_US:
            return QueueFigures(tasks, depth.oldest_due_us, 0, depth.unacked, rate)
        enforced = min(rate, report.enforced_rate)
        return QueueFigures(tasks, depth.oldest_due_us, report.executed_last_minute, report.in_flight, enforced)
