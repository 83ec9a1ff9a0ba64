"""Finds the application that a developer means."""

from __future__ import annotations

import difflib
import os
import sys
from types import ModuleType

from gae_broker.engine.targets.applications import Application, load
from gae_broker.errors import ConfigurationError

_USUAL = ("app", "application", "create_app()", "make_app()")


def find_application(spec: str) -> Application:
    """Import an application: ``module:app``, ``module:create_app()``, or just ``module``.

    Raises:
        ConfigurationError: there is none; the text says what was tried, where, and what is there instead.
    """
    if ":" in spec:
        tried = [spec]
    else:
        name = spec.removesuffix(".py").replace("/", ".")
        tried = [f"{name}:{attribute}" for attribute in _USUAL]
    error: ConfigurationError | None = None
    for candidate in tried:
        try:
            return load(candidate)
        except ConfigurationError as exc:
            error = error or exc
            if _module(candidate) is None:
                break  # it cannot be imported at all; other names in it would fail alike
    assert error is not None  # noqa: S101 - there is at least one candidate
    raise ConfigurationError(_explanation(tried, error)) from error.__cause__


def _module(spec: str) -> ModuleType | None:
    return sys.modules.get(spec.partition("+")[2].partition(":")[0] or spec.partition(":")[0])


def _is_missing(spec: str, cause: BaseException | None) -> bool:
    """Whether the module itself is not there, rather than something that it imports."""
    name = spec.partition(":")[0].rpartition("+")[2]
    return isinstance(cause, ModuleNotFoundError) and f"{name}.".startswith(f"{cause.name}.")


def _explanation(tried: list[str], error: ConfigurationError) -> str:
    module = _module(tried[0])
    lines = [str(error)]
    if module is None:
        if _is_missing(tried[0], error.__cause__):
            lines.append(f"looked in {os.getcwd()} and where Python looks; --app takes module:app or module:create()")  # noqa: PTH109
        return "\n".join(lines)
    if len(tried) > 1:
        lines.append(f"tried {', '.join(tried)}")
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    wanted = tried[0].partition(":")[2].removesuffix("()")
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.3) or names[:3]
    if close:
        lines.append(f"{module.__name__} ({module.__file__}) has {', '.join(close)}")
    return "\n".join(lines)
