"""How the command line writes logs. The library only logs, to ``gae_broker.*``; it configures nothing.

Records that report an event carry it in ``extra``: ``event`` (``task.enqueued``, ``task.attempt``, ``task.retry``,
``task.failed``, ``task.deleted``, ...) and the keys ``queue``, ``task``, ``attempt``, ``status``, ``duration_s``.
Payloads are never logged. Passwords in URLs are masked, wherever in a line they stand.
"""

from __future__ import annotations

import datetime
import json
import logging
from enum import StrEnum
from typing import TextIO

from gae_broker.domain.setting_values import mask

LOGGER = "gae_broker"
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLORS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31;1"}


class LogFormat(StrEnum):
    """How a record is written: for people, or one JSON object a line."""

    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the record's extras, the error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; what JSON cannot say becomes text."""
        line: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _OWN})
        if error := _error(self, record):
            line["error"] = error
        return mask(json.dumps(line, default=str, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """Time, level, logger and message; the event's keys are in the message already."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, a traceback below it."""
        level = record.levelname
        if self._color and record.levelno in _COLORS:
            level = f"\x1b[{_COLORS[record.levelno]}m{level}\x1b[0m"
        time = _time(record).astimezone().strftime("%H:%M:%S")
        line = f"{time} {level} {record.name}: {record.getMessage()}"
        if error := _error(self, record):
            line += "\n" + error
        return mask(line)


def _error(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    """The record's traceback; one from a worker process brings it as text."""
    return formatter.formatException(record.exc_info) if record.exc_info else record.exc_text


def _time(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC)


def level_of(verbosity: int) -> int:
    """The level for a count of ``-v`` less ``-q``: warnings at -1, information at 0, all at 1; only errors below."""
    if verbosity >= 1:
        return logging.DEBUG
    return {0: logging.INFO, -1: logging.WARNING}.get(verbosity, logging.ERROR)


def configure(stream: TextIO, style: LogFormat, *, verbosity: int = 0, color: bool = False) -> None:
    """Write this package's records to a stream; other loggers' from warnings on. For command lines only.

    Args:
        stream: usually standard error.
        style: text or JSON; JSON is never coloured.
        verbosity: see `level_of`.
        color: whether the stream takes colours.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if style is LogFormat.JSON else TextFormatter(color=color))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(level_of(verbosity))
    # pika logs as a warning what our own error or warning then says in words that help.
    logging.getLogger("pika").setLevel(logging.CRITICAL if verbosity < 1 else logging.WARNING)
