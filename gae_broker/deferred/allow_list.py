"""What deferred calls may call: names of callables, enforced while a pickle is loaded and once more on its outcome.

Loading a pickle calls whatever globals it names, with arguments of its choice. So with a list, a global that is neither
on it nor one of a few harmless types is not even imported; one that is on it must also be *defined* where the list
says, or ``shop.tasks.os.system`` would pass for one of ``shop.tasks.*``.
"""

from __future__ import annotations

import _compat_pickle
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_DATA = frozenset(
    f"{module}.{name}"
    for module, names in {
        "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
        "collections": "Counter OrderedDict defaultdict deque",
        "copyreg": "__newobj__ __newobj_ex__ _reconstructor",
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "uuid": "SafeUUID UUID",
        "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
        "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath",
        "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath",
        "_codecs": "encode",
    }.items()
    for name in names.split()
)
"""Globals that pickles of plain values name; calling them only makes such values."""

_SHOWN = 120


class NotAllowedError(pickle.UnpicklingError):
    """The pickle names something that the list does not have."""


@dataclass(frozen=True, slots=True)
class Outermost:
    """Stands in a pickle for a function of the deferred library that calls whatever it is told to.

    It cannot be called, so no pickle can use it while it is loaded; only as what the task is to call.
    """

    function: Callable[..., object]


class AllowList:
    """Names that may be called.

    Args:
        patterns: ``module.function``; ``module.*``: all in a module and below it.
        outermost: names of the deferred library's own functions that call others: any method, a stored call.
    """

    def __init__(self, patterns: Sequence[str], outermost: Sequence[str] = ()) -> None:
        self._names = frozenset(pattern for pattern in patterns if not pattern.endswith(".*"))
        self._prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith(".*"))
        self._outermost = frozenset(outermost)

    def has(self, name: str) -> bool:
        """Whether a callable of this full name is on the list."""
        return name in self._names or name.startswith(self._prefixes)

    def check_name(self, module: str, name: str, successors: Mapping[str, str]) -> None:
        """Check a global before it is imported, under each name that it may stand for.

        Raises:
            NotAllowedError: it is not on the list.
        """
        if not any(self._may_load(full) for full in _readings(module, name, successors)):
            raise _refused(f"{module}.{name}")

    def checked(self, found: object, module: str, name: str, successors: Mapping[str, str]) -> object:
        """A global that was imported, checked by what it really is.

        Raises:
            NotAllowedError: it is defined elsewhere than where the list allows it.
        """
        real = real_name(found)
        if real in self._outermost and callable(found):
            return Outermost(found)
        if not _DATA.isdisjoint(_readings(module, name, successors)):
            return found
        if real is None or not self.has(real):
            raise _refused(real or f"{module}.{name}")
        return found

    def attribute(self, owner: object, name: str) -> object:
        """``getattr``, as pickles below protocol 4 use it for what is defined in a class; of a class on the list only.

        Raises:
            NotAllowedError: the class is not on the list, or the attribute is defined elsewhere.
        """
        full = f"{real_name(owner)}.{name}" if isinstance(owner, type) else repr(type(owner))
        if not isinstance(owner, type) or not isinstance(name, str) or not self._may_load(full):
            raise _refused(full)
        found: object = getattr(owner, name)
        if full not in _DATA and not self.has(real_name(found) or ""):
            raise _refused(full)
        return found

    def check_main(self, name: str, found: object) -> None:
        """Check what a program's own ``__main__`` has under a name.

        Raises:
            NotAllowedError: it is not on the list.
        """
        full = f"__main__.{name}"
        if not self._may_load(full) or real_name(found) is None or not self.has(real_name(found) or ""):
            raise _refused(full)

    def check_call(self, func: object, args: Sequence[object]) -> Callable[..., object]:
        """What a task is to call, checked.

        Raises:
            NotAllowedError: it is not on the list.
        """
        if isinstance(func, Outermost):
            if real_name(func.function) in self._outermost and func.function.__name__ == "invoke_member":
                self._check_member(args)
            return func.function
        name = real_name(func) if isinstance(func, type) or hasattr(func, "__qualname__") else real_name(type(func))
        if name is None or not self.has(name) or not callable(func):
            raise _refused(name or repr(type(func)))
        return func

    def _check_member(self, args: Sequence[object]) -> None:
        owner, member = (args[0], args[1]) if len(args) > 1 else (None, None)
        kind = owner if isinstance(owner, type) else type(owner)
        name = f"{real_name(kind)}.{member}"
        if not isinstance(member, str) or (member.startswith("__") and member != "__call__") or not self.has(name):
            raise _refused(name)

    def _may_load(self, full: str) -> bool:
        if full in _DATA or full in self._outermost:
            return True
        _, *parts = full.split(".")
        is_inner = any(part.startswith("__") for part in parts)  # __globals__, __wrapped__ and the like
        return not is_inner and self.has(full)


def real_name(found: object) -> str | None:
    """The module and name under which something was defined; ``None`` where it is neither function nor class."""
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else None


def _readings(module: str, name: str, successors: Mapping[str, str]) -> Iterator[str]:
    """The names that a global in a pickle may stand for: its own, Python 3's for Python 2's, ours for App Engine's."""
    yield f"{module}.{name}"
    mapped = _compat_pickle.NAME_MAPPING.get((module, name))
    if mapped is not None:
        yield ".".join(mapped)
    elif module in _compat_pickle.IMPORT_MAPPING:
        yield f"{_compat_pickle.IMPORT_MAPPING[module]}.{name}"
    if module in successors:
        yield f"{successors[module]}.{name}"


def _refused(name: str) -> NotAllowedError:
    shown = ascii(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")
    return NotAllowedError(f"{shown} is not on the list deferred_allow; add it there if tasks may call it")
