"""Callables as bytes: plain pickle where that will do, so that App Engine's own ``deferred`` can load them.

What plain pickle cannot take, or another process could not find, goes by value with cloudpickle. Both are loaded by
the same reader, which takes the pickles of Python 2 code too.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from gae_broker.deferred import main_program
from gae_broker.deferred.allow_list import AllowList

_PLAIN_FAILURES = (pickle.PicklingError, AttributeError, TypeError, RecursionError)
_PYTHON_2_TEXT = "latin-1"
_BUILTINS = frozenset({"builtins", "__builtin__"})
_RESOLVE = (main_program.resolve.__module__, main_program.resolve.__qualname__)


class _NamelessError(pickle.PicklingError):
    """A lambda or something local of ``__main__`` is in the way."""


class _PlainPickler(pickle.Pickler):
    """Pickle, but for what is known by the name ``__main__`` only."""

    def __init__(self, buffer: io.BytesIO, protocol: int) -> None:
        super().__init__(buffer, protocol)
        self._protocol = protocol

    def reducer_override(self, obj: object, /) -> Any:  # noqa: ANN401  (pickle's own type)
        """Leave every object to pickle, unless another process could not find it."""
        if not main_program.is_of_main(obj):
            return NotImplemented
        reference = main_program.reference(obj, self._protocol)
        if reference is None:
            raise _NamelessError(f"{obj!r} is of __main__, and has no name there")
        return main_program.resolve, reference


class _Unpickler(pickle.Unpickler):
    """Reads the pickles of Python 2 and 3, and finds what replaces names of App Engine that are not here."""

    def __init__(self, data: bytes, successors: Mapping[str, str], allowed: AllowList | None) -> None:
        # A Python 2 str may be text or bytes; Latin-1 alone keeps every byte of it, and dates need exactly that.
        super().__init__(io.BytesIO(data), encoding=_PYTHON_2_TEXT)
        self._successors = successors
        self._allowed = allowed

    def find_class(self, module_name: str, global_name: str, /) -> object:
        """A global by its name; of a module's successor only where the module itself cannot be imported.

        Raises:
            NotAllowedError: there is a list of what may be called, and this is not on it.
        """
        if self._allowed is None:
            return self._find(module_name, global_name)
        if (module_name, global_name) == _RESOLVE:
            return _resolver(self._allowed, self._successors)  # it checks for itself what it finds
        if global_name == "getattr" and module_name in _BUILTINS:
            return self._allowed.attribute
        self._allowed.check_name(module_name, global_name, self._successors)
        found = self._find(module_name, global_name)
        return self._allowed.checked(found, module_name, global_name, self._successors)

    def _find(self, module_name: str, global_name: str) -> object:
        try:
            return super().find_class(module_name, global_name)
        except ImportError:
            successor = self._successors.get(module_name)
            if successor is None:
                raise
            return super().find_class(successor, global_name)


def dumps(value: object, protocol: int) -> bytes:
    """Pickle a value.

    Raises:
        pickle.PicklingError, TypeError: cloudpickle cannot take it either (a lock, a socket, an open file).
    """
    buffer = io.BytesIO()
    try:
        _PlainPickler(buffer, protocol).dump(value)
    except _PLAIN_FAILURES:
        # Here, as few calls need it, and whoever only runs plain pickles never does.
        import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415

        by_value: bytes = cloudpickle.dumps(value, protocol)
        return by_value
    return buffer.getvalue()


def loads(data: bytes, successors: Mapping[str, str], allowed: AllowList | None = None) -> object:
    """Load a pickle; ``successors`` name the modules that stand in for those that cannot be imported.

    Whatever is wrong with the bytes is raised as pickle, or the code that is loaded, raises it; `NotAllowedError` where
    the pickle names what is not ``allowed``.
    """
    return _Unpickler(data, successors, allowed).load()


def _resolver(allowed: AllowList, successors: Mapping[str, str]) -> Callable[[str, str, bytes], object]:
    """`main_program.resolve`, for pickles that may name only what is allowed."""

    def resolve(program: str, name: str, by_value: bytes) -> object:
        found = main_program.find(program, name)
        if found is None:
            return loads(by_value, successors, allowed)
        allowed.check_main(name, found)
        return found

    return resolve
