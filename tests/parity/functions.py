"""What parity scripts defer: known as ``functions`` on both sides, so that their pickles can be compared."""

from __future__ import annotations

import threading
from typing import Any

CALLS: list[Any] = []
deferred: Any = None
"""The side's own ``deferred``; set for each script."""
lock = threading.Lock()  # nothing can pickle it


def note(*args: Any, **kwargs: Any) -> Any:
    CALLS.append((args, kwargs))
    return [list(args), kwargs]


def fail(message: str = "") -> None:
    raise ValueError(message)


class Counter:
    """A picklable object with every kind of method."""

    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, by: int) -> int:
        return self.value + by

    @classmethod
    def make(cls, start: int) -> int:
        return cls(start).value

    @staticmethod
    def double(number: int) -> int:
        return 2 * number

    def __call__(self, by: int) -> int:
        return self.value * by


counter = Counter(40)


def permanent(*_: Any) -> None:
    raise deferred.PermanentTaskFailure("for good")


def singular(*_: Any) -> None:
    raise deferred.SingularTaskFailure("this once")
