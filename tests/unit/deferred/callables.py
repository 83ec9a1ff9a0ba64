"""Things to defer, importable by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NoReturn

from gae_broker import deferred

calls: list[object] = []


def record(*args: object, **kwargs: object) -> tuple[object, ...]:
    calls.append((args, kwargs))
    return args


class Shop:
    """Has methods of every kind."""

    def __init__(self, name: str = "shop") -> None:
        self.name = name

    def __call__(self, number: int) -> tuple[str, str, int]:
        return ("instance", self.name, number)

    def method(self, number: int, *, extra: int = 0) -> tuple[str, str, int, int]:
        return ("method", self.name, number, extra)

    @classmethod
    def of_class(cls, number: int) -> tuple[str, str, int]:
        return ("class", cls.__name__, number)

    @staticmethod
    def static(number: int) -> tuple[str, int]:
        return ("static", number)

    class Inner:
        def __init__(self, number: int) -> None:
            self.number = number

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Shop.Inner) and other.number == self.number

        __hash__ = None  # type: ignore[assignment]


class OldStyle:
    """As a Python 2 application would have pickled an instance of."""


def fail_permanently() -> NoReturn:
    raise deferred.PermanentTaskFailure("never")


def fail_once() -> NoReturn:
    raise deferred.SingularTaskFailure


def fail() -> NoReturn:
    raise ZeroDivisionError


def _guarded(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def guard(*args: object) -> object:
        if "forbidden" in args:
            raise PermissionError
        return function(*args)

    return guard


@_guarded
def guarded(*args: object) -> object:
    return record("guarded", *args)
