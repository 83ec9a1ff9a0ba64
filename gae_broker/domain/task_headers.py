"""What a handler is told about its task: the ``X-AppEngine-*`` headers as an object."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class TaskHeaders:
    """The task that a request is an attempt of.

    Attributes:
        queue: its queue.
        name: its name, the caller's or the queue's choice.
        retry_count: attempts before this one, those that never reached a handler included; 0 for the first.
        execution_count: attempts before this one that a handler answered.
        eta: when it was due, UTC; ``None`` where the header is missing or no time.
        previous_response: the status that the latest answered attempt ended with; ``None`` before there is one.
        retry_reason: why the attempt before this one failed; ``None`` for the first.
        fail_fast: whether the task asked to fail rather than to wait for capacity.
    """

    queue: str
    name: str
    retry_count: int = 0
    execution_count: int = 0
    eta: datetime.datetime | None = None
    previous_response: int | None = None
    retry_reason: str | None = None
    fail_fast: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """The task of these headers, by lower-case name; ``None`` where they name no queue and task.

        A number that is none counts as absent: who sent the headers was checked before, what else is in them is not.
        """
        queue, name = headers.get("x-appengine-queuename"), headers.get("x-appengine-taskname")
        if not queue or not name:
            return None
        return cls(
            queue=queue,
            name=name,
            retry_count=_number(headers.get("x-appengine-taskretrycount")) or 0,
            execution_count=_number(headers.get("x-appengine-taskexecutioncount")) or 0,
            eta=_time(headers.get("x-appengine-tasketa")),
            previous_response=_number(headers.get("x-appengine-taskpreviousresponse")),
            retry_reason=headers.get("x-appengine-taskretryreason") or None,
            fail_fast="x-appengine-failfast" in headers,
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _time(text: str | None) -> datetime.datetime | None:
    if text is None or not _SECONDS.fullmatch(text):
        return None
    seconds, _, fraction = text.partition(".")
    microseconds = int((fraction + "000000")[:6])
    try:
        return _EPOCH + datetime.timedelta(seconds=int(seconds), microseconds=microseconds)
    except OverflowError:
        return None
