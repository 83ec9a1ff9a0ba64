"""One line an attempt, for the person who develops."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

from gae_broker.engine.dispatcher import AttemptEvent, Result

_US = 1_000_000
_COLORS = {Result.SUCCESS: "32", Result.RETRY: "33", Result.FAILED: "31"}
_EXCERPT = 80


class AttemptLines:
    """An observer that writes lines.

    Args:
        write: takes each line.
        now_us: the time.
        color: whether lines may be coloured.
        json: whether each line is a JSON object.
    """

    def __init__(
        self, write: Callable[[str], None], now_us: Callable[[], int], *, color: bool = False, as_json: bool = False
    ) -> None:
        self._write = write
        self._now_us = now_us
        self._color = color
        self._line = self._json if as_json else self._text
        self._width = 0

    def attempted(self, event: AttemptEvent) -> None:
        """Write an attempt's line."""
        self._write(self._line(event))

    def _text(self, event: AttemptEvent) -> str:
        self._width = min(max(self._width, len(event.queue)), 20)
        now = datetime.datetime.fromtimestamp(self._now_us() / _US, datetime.UTC).astimezone()
        status = str(event.status or "---")
        if self._color:
            status = f"\x1b[{_COLORS[event.result]}m{status}\x1b[0m"
        line = (
            f"{now:%H:%M:%S} {event.queue:{self._width}} {event.task} {event.method} {event.url} "
            f"try {event.attempt}: {status} in {_milliseconds(event.duration_s)}"
        )
        return line + self._outlook(event)

    def _outlook(self, event: AttemptEvent) -> str:
        """What comes next, where the attempt failed."""
        if event.result is Result.SUCCESS:
            return ""
        why = event.reason + _excerpt(event.body_excerpt)
        if event.next_eta_us is None:
            return f", given up: {why}"
        wait_s = max(event.next_eta_us - self._now_us(), 0) / _US
        return f", next try in {_wait(wait_s)}: {why}"

    def _json(self, event: AttemptEvent) -> str:
        return json.dumps(
            {
                "queue": event.queue,
                "task": event.task,
                "method": event.method,
                "url": event.url,
                "attempt": event.attempt,
                "status": event.status,
                "duration_s": round(event.duration_s, 6),
                "outcome": event.result.value,
                "reason": event.reason,
                "next_eta_us": event.next_eta_us,
            }
        )


def _milliseconds(duration_s: float) -> str:
    return f"{duration_s * 1000:.0f} ms" if duration_s < 1 else f"{duration_s:.1f} s"


def _wait(wait_s: float) -> str:
    if wait_s < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{wait_s:.1f} s"
    minutes, seconds = divmod(round(wait_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _excerpt(body: bytes) -> str:
    """The answer's first line, where it is short text that may say why."""
    text = body.decode("utf-8", "replace").strip().partition("\n")[0].strip()
    return f" ({text})" if text and len(text) <= _EXCERPT and text.isprintable() and "<" not in text else ""
