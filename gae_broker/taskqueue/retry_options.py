"""A task's own retry options."""

from __future__ import annotations

import math
from typing import Never, TypeVar

from gae_broker.domain import retry
from gae_broker.domain.retry import RetryParameters
from gae_broker.errors import InvalidTaskRetryOptionsError

Number = TypeVar("Number", int, float)
_NAMES = ("min_backoff_seconds", "max_backoff_seconds", "max_doublings", "task_retry_limit", "task_age_limit")


class TaskRetryOptions:
    """When a failed push task is tried again; what is not given has App Engine's default, *not* the queue's value.

    Args:
        min_backoff_seconds: the wait before the first retry, in seconds; default 0.1.
        max_backoff_seconds: the longest wait, in seconds; default 3600.
        task_age_limit: no retry later than this many seconds after the first attempt, rounded up to an integer.
        max_doublings: how often the wait doubles before it grows linearly; default 16.
        task_retry_limit: how many retries. With an age limit too, the task is given up only when both are exceeded.

    Raises:
        InvalidTaskRetryOptionsError: one is negative or not finite, or the maximal wait is less than the minimal.
        TypeError: an unknown argument, or no number.
    """

    def __init__(
        self,
        *,
        min_backoff_seconds: float | None = None,
        max_backoff_seconds: float | None = None,
        task_age_limit: float | None = None,
        max_doublings: int | None = None,
        task_retry_limit: int | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            raise TypeError(f"Invalid arguments: {', '.join(unknown)}")
        _check("min_backoff_seconds", min_backoff_seconds)
        _check("max_backoff_seconds", max_backoff_seconds)
        if (
            min_backoff_seconds is not None
            and max_backoff_seconds is not None
            and max_backoff_seconds < min_backoff_seconds
        ):
            raise InvalidTaskRetryOptionsError(
                f"max_backoff_seconds {max_backoff_seconds!r} is less than min_backoff_seconds {min_backoff_seconds!r}",
            )
        _check("max_doublings", max_doublings)
        _check("task_retry_limit", task_retry_limit)
        _check("task_age_limit", task_age_limit)
        self.__min_backoff_seconds = min_backoff_seconds
        self.__max_backoff_seconds = max_backoff_seconds
        self.__max_doublings = max_doublings
        self.__task_retry_limit = task_retry_limit
        self.__task_age_limit = None if task_age_limit is None else math.ceil(task_age_limit)

    @property
    def min_backoff_seconds(self) -> float | None:
        """The wait before the first retry, in seconds; ``None``: 0.1."""
        return self.__min_backoff_seconds

    @property
    def max_backoff_seconds(self) -> float | None:
        """The longest wait, in seconds; ``None``: 3600."""
        return self.__max_backoff_seconds

    @property
    def task_age_limit(self) -> int | None:
        """Seconds after the first attempt; ``None``: no limit."""
        return self.__task_age_limit

    @property
    def max_doublings(self) -> int | None:
        """How often the wait doubles; ``None``: 16 times."""
        return self.__max_doublings

    @property
    def task_retry_limit(self) -> int | None:
        """How many retries; ``None``: no limit."""
        return self.__task_retry_limit

    def __repr__(self) -> str:
        return f"TaskRetryOptions({', '.join(f'{name}={getattr(self, name)!r}' for name in _NAMES)})"


def parameters(options: TaskRetryOptions) -> RetryParameters | None:
    """The options with App Engine's defaults filled in; ``None`` where none is set, and the queue's apply.

    Raises:
        InvalidTaskRetryOptionsError: a count is no integer, or these are no options at all.
    """
    if not all(hasattr(options, name) for name in _NAMES):
        raise InvalidTaskRetryOptionsError(f"retry_options is {options!r}; it must be TaskRetryOptions(...)")
    if all(getattr(options, name) is None for name in _NAMES):
        return None
    return RetryParameters(
        limit=_count("task_retry_limit", options.task_retry_limit),
        age_limit_s=options.task_age_limit,
        min_backoff_s=_or(options.min_backoff_seconds, retry.MIN_BACKOFF_S),
        max_backoff_s=_or(options.max_backoff_seconds, retry.MAX_BACKOFF_S),
        max_doublings=_or(_count("max_doublings", options.max_doublings), retry.MAX_DOUBLINGS),
    )


def _or(given: Number | None, default: Number) -> Number:
    return default if given is None else given


def _check(name: str, value: float | None) -> None:
    if value is None:
        return
    if value < 0:
        raise InvalidTaskRetryOptionsError(f"{name} is {value!r}; it cannot be negative")
    if not math.isfinite(value):
        raise InvalidTaskRetryOptionsError(f"{name} is {value!r}; it must be finite (leave it out for no limit)")


def _count(name: str, value: float | None) -> int | None:
    if value is None or value == int(value):
        return None if value is None else int(value)
    raise InvalidTaskRetryOptionsError(f"{name} is {value!r}; it must be a whole number")
