"""When a task may start at the earliest: ``eta`` or ``countdown`` as seconds since the epoch.

Here and not in the domain, as a naive eta is the process's local time: what it means depends on where it is read.
"""

from __future__ import annotations

import calendar
import time
from datetime import datetime

from gae_broker.domain import limits
from gae_broker.domain.task_arguments import shown
from gae_broker.errors import InvalidEtaError, InvalidTaskError


def eta_posix(eta: datetime | None, countdown: float | str | None, now: float) -> float:
    """The eta in seconds since the epoch: ``eta``, or ``now`` plus ``countdown``, or ``now``.

    A naive ``eta`` is the process's local time, as on App Engine (where TZ is UTC).

    Raises:
        InvalidTaskError: both are given, ``eta`` is no datetime, or ``countdown`` no number.
        TypeError: ``float`` does not take ``countdown``.
    """
    if eta is not None and countdown is not None:
        raise InvalidTaskError(f"eta {eta} and countdown {shown(countdown)} are both given; give one of them")
    if eta is not None:
        return _posix(eta)
    if countdown is None:
        return now
    try:
        return now + float(countdown)
    except ValueError as exc:
        raise InvalidTaskError(f"Countdown must be a number, not {shown(countdown)}") from exc
    except OverflowError as exc:
        raise InvalidTaskError(f"Countdown out of range: {shown(countdown)}") from exc


def _posix(eta: datetime) -> float:
    if not isinstance(eta, datetime):
        raise InvalidTaskError(f"eta must be a datetime.datetime, not {shown(eta)}")
    try:
        seconds = time.mktime(eta.timetuple()) if eta.tzinfo is None else calendar.timegm(eta.utctimetuple())
    except (OverflowError, ValueError) as exc:
        raise InvalidEtaError(f"eta {eta} is outside of what this system's time covers") from exc
    return seconds + eta.microsecond * 1e-6


def check_eta(eta: float, now: float) -> None:
    """Raise InvalidEtaError if the eta, in seconds since the epoch, is more than 30 days after now."""
    if eta - now > limits.MAX_COUNTDOWN_SECONDS:
        raise InvalidEtaError(f"eta is {(eta - now) / 86_400:.1f} days ahead, at most 30 are allowed")
