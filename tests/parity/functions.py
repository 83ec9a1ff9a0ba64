"""What parity scripts defer: importable under the name ``functions`` on both sides, so that each reads the other's pickles."""

from __future__ import annotations

from typing import Any

CALLS: list[Any] = []


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
