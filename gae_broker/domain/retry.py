"""App Engine's retry schedule: when a failed task runs again, and when it is given up.

Source: the reference implementation's ``taskqueue_stub`` and the queue.yaml reference.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_BACKOFF_S = 0.1
MAX_BACKOFF_S = 3600.0
MAX_DOUBLINGS = 16
_LARGEST_EXPONENT = 1023  # a float's
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class RetryParameters:
    """Retry parameters with App Engine's defaults filled in.

    Attributes:
        limit: retries after the first attempt; 0 is none, ``None`` no limit.
        age_limit_s: seconds since the first attempt; ``None`` no limit.
        min_backoff_s, max_backoff_s: bounds of the wait between attempts, in seconds.
        max_doublings: how often the wait doubles before it grows linearly.
    """

    limit: int | None = None
    age_limit_s: int | None = None
    min_backoff_s: float = MIN_BACKOFF_S
    max_backoff_s: float = MAX_BACKOFF_S
    max_doublings: int = MAX_DOUBLINGS


DEFAULT = RetryParameters()


def delay_us(parameters: RetryParameters, retry: int) -> int:
    """The wait before the given retry (1 for the first), in microseconds."""
    doublings = min(retry - 1, parameters.max_doublings)
    linear = max(retry - doublings, 1)
    seconds = parameters.min_backoff_s * 2.0 ** min(max(doublings, 0), _LARGEST_EXPONENT) * linear
    return round(min(seconds, parameters.max_backoff_s) * _US)


def may_retry(parameters: RetryParameters, retry: int, age_us: int) -> bool:
    """Whether the given retry (1 for the first) is still allowed ``age_us`` after the first attempt.

    Where both limits are set the task is given up only when both are exceeded.
    """
    within_limit = parameters.limit is not None and parameters.limit >= retry
    within_age = parameters.age_limit_s is not None and parameters.age_limit_s * _US >= age_us
    if parameters.limit is None and parameters.age_limit_s is None:
        return True
    return within_limit or within_age
