"""Functions and classes of ``__main__``: by name within the program that defines them, by value everywhere else.

A worker's ``__main__`` is another program, so a name alone would not be found there. But a test suite that is run as
``python test_orders.py`` runs its tasks itself: a function by value would then work on copies of the suite's globals,
and an instance would be of another class than the one the suite compares it with. App Engine's library knew names only.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from types import BuiltinFunctionType, FunctionType

_MAIN = "__main__"


def is_of_main(obj: object) -> bool:
    """Whether it is a function or a class that ``__main__`` defines."""
    return isinstance(obj, type | FunctionType | BuiltinFunctionType) and getattr(obj, "__module__", "") == _MAIN


def reference(obj: object, protocol: int) -> tuple[str, str, bytes] | None:
    """The arguments of `resolve` that give the object back; ``None`` where it has no name (a lambda, a local)."""
    program, name = _program(), getattr(obj, "__qualname__", "")
    if program is None or _find(name) is not obj:
        return None
    import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415 - whoever only runs pickles never needs it

    return program, name, cloudpickle.dumps(obj, protocol)


def resolve(program: str, name: str, by_value: bytes) -> object:
    """The object of that name if this is the program, else a copy. Pickles name this function: it stays here."""
    found = find(program, name)
    if found is not None:
        return found
    # As the pickle around it is loaded: the bytes come from the same signed or trusted payload.
    return pickle.load(io.BytesIO(by_value))  # noqa: S301


def find(program: str, name: str) -> object:
    """What this program defines under a name; ``None`` where this is another program, or it has no such name."""
    return _find(name) if program == _program() else None


def _program() -> str | None:
    """The file that runs as ``__main__``; ``None`` in an interactive session."""
    path = getattr(sys.modules.get(_MAIN), "__file__", None)
    return None if path is None else os.path.realpath(path)


def _find(name: str) -> object:
    found: object = sys.modules.get(_MAIN)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
