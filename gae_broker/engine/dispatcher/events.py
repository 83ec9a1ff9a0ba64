"""What the dispatcher tells of each attempt, for log lines and metrics."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gae_broker.domain.attempt import Done, Retry
from gae_broker.engine.delivery import Settled

_US = 1_000_000
_log = logging.getLogger("gae_broker.dispatch")


class Result(StrEnum):
    """What an attempt meant for its task."""

    SUCCESS = "success"
    RETRY = "retry"
    FAILED = "failed"
    """It was the last one allowed; the task is kept among the dead."""


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """One attempt, after it was settled.

    Attributes:
        queue, task, method, url: whose.
        attempt: 1 for the first.
        status: the answer's status, ``None`` where no complete answer came.
        duration_s: how long it took.
        wait_s: seconds between the eta and the attempt's begin.
        result: what it meant for the task.
        reason: why it failed, empty for a success.
        next_eta_us: when the task is tried again, ``None`` if it is not.
        body_excerpt: the beginning of the answer.
        retry_in_s: seconds between the attempt's end and the next one, ``None`` if there is none.
    """

    queue: str
    task: str
    method: str
    url: str
    attempt: int
    status: int | None
    duration_s: float
    wait_s: float
    result: Result
    reason: str
    next_eta_us: int | None
    body_excerpt: bytes
    retry_in_s: float | None = None


class Observer(Protocol):
    """Watches a dispatcher. Called on its loop, so it must return at once and raise nothing."""

    def attempted(self, event: AttemptEvent) -> None:
        """An attempt was made and settled."""


def event_of(settled: Settled) -> AttemptEvent:
    """The event that reports a settled attempt."""
    attempt, outcome, conclusion = settled.attempt, settled.outcome, settled.conclusion
    result, next_eta_us, reason = Result.SUCCESS, None, ""
    if not isinstance(conclusion, Done):
        result, reason = Result.FAILED, conclusion.copy.progress.reason
    if isinstance(conclusion, Retry):
        result, next_eta_us = Result.RETRY, conclusion.copy.eta_us
    return AttemptEvent(
        queue=attempt.copy.queue,
        task=attempt.copy.name,
        method=attempt.request.method,
        url=attempt.request.url,
        attempt=attempt.number,
        status=outcome.status,
        duration_s=(outcome.ended_us - outcome.started_us) / _US,
        wait_s=max(outcome.started_us - attempt.copy.eta_us, 0) / _US,
        result=result,
        reason=reason,
        next_eta_us=next_eta_us,
        body_excerpt=outcome.body_excerpt,
        retry_in_s=None if next_eta_us is None else max(next_eta_us - outcome.ended_us, 0) / _US,
    )


def _outlook(event: AttemptEvent) -> str:
    """What comes next and why, where the attempt failed."""
    if event.result is Result.SUCCESS:
        return ""
    wait = "" if event.retry_in_s is None else f" in {event.retry_in_s:.1f} s"
    return f", {event.result}{wait}: {event.reason}"


_NAMES = {Result.SUCCESS: "task.attempt", Result.RETRY: "task.retry", Result.FAILED: "task.failed"}
_LEVELS = {Result.SUCCESS: logging.INFO, Result.RETRY: logging.WARNING, Result.FAILED: logging.ERROR}


class LogObserver:
    """One log record an attempt; its extras are the keys of the operator's handbook, never a payload."""

    def attempted(self, event: AttemptEvent) -> None:
        """Log the attempt."""
        level = _LEVELS[event.result]
        if not _log.isEnabledFor(level):
            return
        _log.log(
            level,
            "%s %s %s %s try %d: %s in %.3f s%s",
            event.queue,
            event.task,
            event.method,
            event.url,
            event.attempt,
            event.status or "no answer",
            event.duration_s,
            _outlook(event),
            extra={
                "event": _NAMES[event.result],
                "queue": event.queue,
                "task": event.task,
                "attempt": event.attempt,
                "status": event.status,
                "duration_s": event.duration_s,
                "outcome": event.result.value,
                "reason": event.reason,
                "next_eta_us": event.next_eta_us,
            },
        )
