"""What a pool and its worker processes say to each other: pickled tuples, each behind its length.

Both ends are this program on this machine, joined by a socket pair that nobody else can open, so pickle is safe here.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.hand import Numbered, Result

LENGTH = struct.Struct("!I")


class Word(Enum):
    """What a frame says."""

    START = auto()
    """To a worker, first of all: a `Start`."""
    JOBS = auto()
    """To a worker: numbered requests."""
    WITHDRAW = auto()
    """To a worker: give back what has not begun."""
    STOP = auto()
    """To a worker that has nothing to do: end the application and yourself."""
    READY = auto()
    """From a worker: the application is there; how many requests it takes at a time."""
    FAILED = auto()
    """From a worker: there will be no application; why."""
    RESULTS = auto()
    """From a worker: results, and how many attempts were given up and still run."""
    LOG = auto()
    """From a worker: a log record."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is to run.

    Attributes:
        spec: the application.
        threads: requests at a time.
        levels: log levels by logger name, as they are in the dispatcher.
    """

    spec: str
    threads: int
    levels: tuple[tuple[str, int], ...]


def pack(word: Word, *content: object) -> bytes:
    """A frame."""
    body = pickle.dumps((word.value, *content), pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes) -> tuple[Word, tuple[object, ...]]:
    """A frame's word and content, without its length."""
    word, *content = pickle.loads(body)  # noqa: S301 - from our own process, see above
    return Word(word), tuple(content)


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Word, tuple[object, ...]]]:
        """Take what was received; the frames that are complete by now."""
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[LENGTH.size : end])
            del self._buffer[:end]
            yield unpack(body)


# Plain tuples pickle several times faster than dataclasses.

_Request = tuple[int, str, str, tuple[tuple[str, str], ...], bytes, str | None, int]
_Answer = tuple[int, tuple[int | None, str, int, int, bytes] | None]


def plain_jobs(jobs: Iterable[Numbered]) -> list[_Request]:
    """Requests as a frame carries them."""
    return [(number, r.method, r.url, r.headers, r.body, r.target, r.deadline_us) for number, r in jobs]


def jobs_of(plain: object) -> list[Numbered]:
    """The requests that a frame carries."""
    return [(fields[0], HttpRequest(*fields[1:])) for fields in cast("list[_Request]", plain)]


def plain_results(results: Iterable[Result]) -> list[_Answer]:
    """Results as a frame carries them."""
    return [
        (number, None if o is None else (o.status, o.reason, o.started_us, o.ended_us, o.body_excerpt))
        for number, o in results
    ]


def results_of(plain: object) -> list[Result]:
    """The results that a frame carries."""
    return [(number, None if fields is None else Outcome(*fields)) for number, fields in cast("list[_Answer]", plain)]
