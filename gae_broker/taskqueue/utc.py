"""The time zone of ``Task.eta``: UTC, of the class that App Engine's had."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

_ZERO = timedelta(0)


class _UTCTimeZone(tzinfo):
    """UTC."""

    ZERO = _ZERO

    def utcoffset(self, dt: datetime | None) -> timedelta:  # noqa: ARG002
        return _ZERO

    def dst(self, dt: datetime | None) -> timedelta:  # noqa: ARG002
        return _ZERO

    def tzname(self, dt: datetime | None) -> str:  # noqa: ARG002
        return "UTC"

    def __repr__(self) -> str:
        return "_UTCTimeZone()"


UTC = _UTCTimeZone()
