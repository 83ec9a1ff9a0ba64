"""How attempts fail in words, and what is kept of an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest
from gae_broker.ports import Clock

EXCERPT = 1024
"""Bytes of an answer's body that are kept for the operator."""

READ_LIMIT = 65_536
"""Bytes of an answer's body that are read at all; its status decides, whatever follows."""

OnError = Callable[[HttpRequest, BaseException], None]
"""Told of what an application raised instead of answering."""

_log = logging.getLogger("gae_broker.dispatch")


def log_error(request: HttpRequest, error: BaseException) -> None:
    """Log what an application raised, with its traceback."""
    headers = dict(request.headers)
    queue, task = headers.get("X-AppEngine-QueueName", ""), headers.get("X-AppEngine-TaskName", "")
    _log.error(
        "queue %s task %s: %s %s raised %s",
        queue,
        task,
        request.method,
        request.url,
        type(error).__name__,
        exc_info=error,
        extra={"event": "task.error", "queue": queue, "task": task},
    )


def raised(error: BaseException, started_us: int, clock: Clock) -> Outcome:
    """The outcome where the application raised: it was reached, so it counts as an answer with status 500."""
    return Outcome(500, f"{type(error).__name__}: {error}", started_us, clock.now_us())


def answered(status: int, started_us: int, clock: Clock, body: bytes) -> Outcome:
    """The outcome of a complete answer, or of as much of one as is ever read."""
    outcome = Outcome(status, "", started_us, clock.now_us(), body[:EXCERPT])
    return (
        outcome
        if outcome.success
        else Outcome(status, f"status {status}", started_us, outcome.ended_us, body[:EXCERPT])
    )


def unanswered(reason: str, started_us: int, clock: Clock) -> Outcome:
    """The outcome where no answer came: the attempt counts as a try, not as an execution."""
    return Outcome(None, reason, started_us, clock.now_us())


def overdue(deadline_us: int) -> str:
    """Why an attempt was broken off."""
    return f"deadline of {deadline_us / 1_000_000:g} s exceeded"
