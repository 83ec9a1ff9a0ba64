"""What to do with a delivered copy, and what follows from its attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gae_broker.domain.retry import RetryParameters, delay_us, may_retry
from gae_broker.domain.task import HISTORY, Copy, Try

CRASHES = 3
"""Ends of a worker in a row that may be a task's own doing; fewer are taken for the machine's."""

_SUCCESS = range(200, 300)
_NO_ANSWER = "no answer"
_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        status: the answer's status; ``None`` where no complete answer came.
        reason: why it failed, in words; empty for a success.
        started_us, ended_us: when.
        body_excerpt: the answer's beginning, for the operator.
    """

    status: int | None
    reason: str
    started_us: int
    ended_us: int
    body_excerpt: bytes = b""

    @property
    def success(self) -> bool:
        """Whether the task is done: 200-299. A redirect is not followed and is a failure."""
        return self.status is not None and self.status in _SUCCESS


class Verdict(StrEnum):
    """What to do with a delivered copy."""

    RUN = "run"
    DROP = "drop"
    DELAY = "delay"
    """It came before its eta: put it back until then."""
    GIVE_UP = "give up"


class Knowledge(StrEnum):
    """What the ledger says about a delivered copy."""

    UNKNOWN = "unknown"
    """There is no row: the copy is the original and valid."""
    LIVE = "live"
    STALE = "stale"
    DONE = "done"
    DELETED = "deleted"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and its reason."""

    verdict: Verdict
    reason: str = ""


def decide(
    copy: Copy,
    delivery_count: int,
    knowledge: Knowledge,
    parameters: RetryParameters,
    now_us: int,
) -> Decision:
    """Whether a delivered copy may be attempted now.

    A delivery that came back because its worker ended counts as a try, although the handler may never have seen
    it. It is attempted again all the same, whatever the retry limits say, so that a crash loses nothing; only a
    task over its limits whose worker ended `CRASHES` times in a row is given up, because it may be the cause.
    """
    if knowledge not in (Knowledge.UNKNOWN, Knowledge.LIVE):
        return Decision(Verdict.DROP, knowledge.value)
    if copy.eta_us > now_us:
        return Decision(Verdict.DELAY)
    if delivery_count >= CRASHES:
        first_us = copy.progress.first_try_us
        age_us = 0 if first_us is None else now_us - first_us
        if not may_retry(_effective(copy, parameters), copy.progress.tries + delivery_count, age_us):
            return Decision(Verdict.GIVE_UP, f"worker ended during {delivery_count} attempts in a row")
    return Decision(Verdict.RUN)


@dataclass(frozen=True, slots=True)
class Done:
    """The attempt succeeded."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed; ``copy`` takes the old one's place."""

    copy: Copy


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The attempt failed and was the last; ``copy`` is what is kept for the operator."""

    copy: Copy


Conclusion = Done | Retry | GiveUp


def conclude(
    copy: Copy,
    delivery_count: int,
    outcome: Outcome,
    parameters: RetryParameters,
    new_copy_id: str,
) -> Conclusion:
    """What follows from an attempt; ``parameters`` are the queue's, the task's own replace them wholesale."""
    if outcome.success:
        return Done()
    parameters = _effective(copy, parameters)
    failed = _failed(copy, delivery_count + 1, outcome, new_copy_id)
    tries, first_us = failed.progress.tries, failed.progress.first_try_us
    age_us = 0 if first_us is None else outcome.ended_us - first_us
    if not may_retry(parameters, tries, age_us):
        return GiveUp(failed)
    return Retry(replace(failed, eta_us=outcome.ended_us + delay_us(parameters, tries)))


def abandon(copy: Copy, delivery_count: int, reason: str, now_us: int, new_copy_id: str) -> GiveUp:
    """What follows from `Verdict.GIVE_UP`."""
    return GiveUp(_failed(copy, delivery_count, Outcome(None, reason, now_us, now_us), new_copy_id))


def _effective(copy: Copy, parameters: RetryParameters) -> RetryParameters:
    """The task's own retry parameters, if it has any: they replace the queue's wholesale."""
    return copy.content.retry or parameters


def _failed(copy: Copy, tries: int, outcome: Outcome, new_copy_id: str) -> Copy:
    before = copy.progress
    reason = outcome.reason or (_NO_ANSWER if outcome.status is None else f"status {outcome.status}")
    reason = " ".join(reason.split())[:_REASON_LENGTH]  # it travels with the task, and may quote anybody
    entry = Try(outcome.ended_us, outcome.ended_us - outcome.started_us, outcome.status, reason)
    answered = outcome.status is not None
    progress = replace(
        before,
        tries=before.tries + tries,
        executions=before.executions + answered,
        first_try_us=outcome.started_us if before.first_try_us is None else before.first_try_us,
        last_status=outcome.status if answered else before.last_status,
        reason=reason,
        history=(*before.history, entry)[-HISTORY:],
    )
    return copy.successor(new_copy_id, copy.eta_us, progress)
