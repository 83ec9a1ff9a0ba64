"""Finds and imports the application that a target names: ``module:app``, or ``module:create()`` for a factory."""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from dataclasses import dataclass
from enum import StrEnum

from gae_broker.errors import ConfigurationError

_SPEC = re.compile(r"(?:(wsgi|asgi)\+)?([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)(\(\))?")
_IMPORTING = frozenset(
    {__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}
)
_GOOGLES = frozenset({"google", "google.appengine"})
"""What is missing where App Engine's imports are not answered; below of these are services that nobody here has."""


class Interface(StrEnum):
    """How an application is called."""

    WSGI = "wsgi"
    ASGI = "asgi"


@dataclass(frozen=True, slots=True)
class Application:
    """An imported application."""

    interface: Interface
    app: object


def is_application(spec: str) -> bool:
    """Whether a target is an application to import, not an address to send requests to."""
    return _SPEC.fullmatch(spec) is not None


def load(spec: str) -> Application:
    """Import an application.

    ``wsgi+`` or ``asgi+`` before the module says how to call it; without, an async callable is taken for ASGI and
    any other for WSGI.

    Raises:
        ConfigurationError: there is no such application; what its module raises while imported is the cause.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ConfigurationError(f"target {spec!r} is no application; write module:app, or module:create()")
    interface, module_name, path, is_factory = match.groups()
    found = _find(f"target {spec!r}", module_name, path)
    if is_factory:
        found = _made(spec, found)
    if not callable(found):
        raise ConfigurationError(
            f"target {spec!r} is {type(found).__name__}, not callable: no WSGI or ASGI application"
        )
    return Application(Interface(interface) if interface else _interface(found), found)


def load_callable(spec: str) -> object:
    """Import ``module:function``.

    Raises:
        ConfigurationError: there is none.
    """
    label, (module_name, _, path) = f"hook {spec!r}", spec.partition(":")
    found = _find(label, module_name, path)
    if not callable(found):
        raise ConfigurationError(f"{label} is {type(found).__name__}, not callable; name a function")
    return found


def adopt(app: object) -> Application:
    """An application that is imported already.

    Raises:
        ConfigurationError: it cannot be called.
    """
    if not callable(app):
        raise ConfigurationError(f"{app!r} is not callable: no WSGI or ASGI application")
    return Application(_interface(app), app)


def _find(label: str, module_name: str, path: str) -> object:
    try:
        found: object = importlib.import_module(module_name)
    except Exception as exc:
        raise ConfigurationError(f"{label}: cannot import {module_name}: {exc!r}{_more(exc)}") from exc
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            raise ConfigurationError(f"{label}: {module_name} has no {path}; name what is in it")
    return found


def _more(error: Exception) -> str:
    """Where in the application an import failed, and what helps; empty where the application itself is not there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _IMPORTING]
    place = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing in _GOOGLES:
        return f"{place}; set GAE_BROKER_SHIM=1 to have App Engine's imports answered, or run 'gae-broker migrate'"
    return place


def _made(spec: str, factory: object) -> object:
    if not callable(factory):
        raise ConfigurationError(f"target {spec!r}: not callable; leave the () out, or name the factory")
    try:
        made: object = factory()
    except Exception as exc:
        raise ConfigurationError(f"target {spec!r}: the factory raised {exc!r}") from exc
    return made


def _interface(app: object) -> Interface:
    call = getattr(app, "__call__", None)  # noqa: B004 - its kind is asked for, not whether there is one
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call)
    return Interface.ASGI if is_async else Interface.WSGI
