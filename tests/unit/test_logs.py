"""Logs: JSON with the event's keys, text for people, no passwords, nothing configured by the library itself."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from gae_broker import logs
from gae_broker.logs import LogFormat

LOG = logging.getLogger("gae_broker.engine.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, own = logging.getLogger(), logging.getLogger(logs.LOGGER)
    before = root.handlers[:], root.level, own.level
    yield io.StringIO()
    root.handlers[:], root.level, own.level = before
    own.setLevel(before[2])


def test_json_lines_carry_the_events_keys(stream: io.StringIO) -> None:
    logs.configure(stream, LogFormat.JSON)
    extra = {"event": "task.attempt", "queue": "mail", "task": "t", "status": 200, "duration_s": 0.5, "odd": {1}}
    LOG.info("done at %s", "amqp://u:hunter2@h", extra=extra)
    line = json.loads(stream.getvalue())
    assert line["time"].endswith("+00:00")
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "gae_broker.engine.test",
        "message": "done at amqp://u:***@h",
        **extra,
        "odd": "{1}",
    }


def test_json_lines_carry_errors(stream: io.StringIO) -> None:
    logs.configure(stream, LogFormat.JSON, color=True)
    LOG.error("failed", exc_info=ValueError("no such \U0001f40d"))
    (text,) = stream.getvalue().splitlines()
    assert json.loads(text)["error"].endswith("ValueError: no such \U0001f40d")
    assert "\x1b" not in text


@pytest.mark.parametrize("style", LogFormat)
def test_tracebacks_that_a_worker_process_sent_as_text(stream: io.StringIO, style: LogFormat) -> None:
    logs.configure(stream, style)
    sent = {"name": "shop", "levelno": logging.ERROR, "levelname": "ERROR", "msg": "failed", "args": None}
    LOG.handle(logging.makeLogRecord({**sent, "exc_info": None, "exc_text": "Traceback ...\nValueError: on purpose"}))
    assert "ValueError: on purpose" in stream.getvalue()


@pytest.mark.parametrize(("color", "level"), [(False, "WARNING"), (True, "\x1b[33mWARNING\x1b[0m")])
def test_text_lines(stream: io.StringIO, color: bool, level: str) -> None:
    logs.configure(stream, LogFormat.TEXT, color=color)
    LOG.warning("lost %s", "amqp://u:hunter2@h", extra={"queue": "mail"})
    assert stream.getvalue()[8:] == f" {level} gae_broker.engine.test: lost amqp://u:***@h\n"


@pytest.mark.parametrize(
    ("verbosity", "written"),
    [(1, "dive"), (0, "ive"), (-1, "ve"), (-2, "e"), (9, "dive"), (-9, "e")],
)
def test_verbosity(stream: io.StringIO, verbosity: int, written: str) -> None:
    logs.configure(stream, LogFormat.TEXT, verbosity=verbosity)
    for level, text in zip((10, 20, 30, 40), "dive", strict=True):
        LOG.log(level, text)
    assert "".join(line[-1] for line in stream.getvalue().splitlines()) == written


def test_other_libraries_are_heard_from_warnings_on(stream: io.StringIO) -> None:
    logs.configure(stream, LogFormat.TEXT, verbosity=1)
    logging.getLogger("other").info("quiet")
    logging.getLogger("other").warning("loud")
    assert stream.getvalue().count("\n") == 1
