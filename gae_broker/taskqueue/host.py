"""Which version of the application a task is for: its Host header and its ``target``, each derived from the other.

Source: gae-semantics section 2.4.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self, TypeVar, cast

from gae_broker.domain.caseless import Headers
from gae_broker.errors import InvalidTaskError
from gae_broker.taskqueue.surroundings import DEFAULT_VERSION_HOSTNAME, HTTP_HOST, Surroundings

_log = logging.getLogger(__name__)
_told: set[str] = set()


_Only = TypeVar("_Only")
_ones: dict[type, object] = {}


def _one(kind: type[_Only]) -> _Only:
    return cast("_Only", _ones.setdefault(kind, object.__new__(kind)))


class DefaultApplicationVersion:
    """The type of `DEFAULT_APP_VERSION`, of which there is one, also where a pickle brought it."""

    def __new__(cls) -> Self:
        """The one."""
        return _one(cls)

    def __repr__(self) -> str:
        return "<DefaultApplicationVersion>"


class UnknownApplicationVersion:
    """The type of `UNKNOWN_APP_VERSION`, of which there is one, also where a pickle brought it."""

    def __new__(cls) -> Self:
        """The one."""
        return _one(cls)

    def __repr__(self) -> str:
        return "<UnknownApplicationVersion>"


DEFAULT_APP_VERSION = DefaultApplicationVersion()
"""The target of tasks for the application's default version."""
UNKNOWN_APP_VERSION = UnknownApplicationVersion()
"""The target of tasks made where no hostname is known."""

Target = str | DefaultApplicationVersion | UnknownApplicationVersion | None
"""What ``Task.target`` may be."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a task goes.

    Attributes:
        target: for ``Task.target``.
        named: the target that the caller named, by ``target=`` or by a Host header; ``None`` where none was.
    """

    target: Target
    named: str | None


def resolve(target: Target, headers: Headers, surroundings: Surroundings) -> Route:
    """Derive the target, and set the Host header where there is none.

    Differs from App Engine: on its development server it asked the modules API for the host of a target; here the
    Host header is ``<target>.<default hostname>`` everywhere, and dispatchers route by the target's name.

    Raises:
        InvalidTaskError: a target and a Host header are both given.
    """
    if target is not None:
        if "Host" in headers:
            raise InvalidTaskError(
                f"target {target!r} and a Host header {headers.get('Host')!r} are both given; give one of them",
            )
        default = surroundings.variable(DEFAULT_VERSION_HOSTNAME)
        if default is not None:
            headers.set("Host", default if target is DEFAULT_APP_VERSION else f"{target}.{default}")
        return Route(target, target if isinstance(target, str) and target else None)
    if "Host" in headers:
        derived = _from_host(str(headers.get("Host")), surroundings)
        return Route(derived, derived if isinstance(derived, str) else None)
    host = surroundings.variable(HTTP_HOST)
    if not host:
        _tell_once()
        return Route(UNKNOWN_APP_VERSION, None)
    headers.set("Host", host)
    return Route(_from_host(host, surroundings), None)


def _from_host(host: str, surroundings: Surroundings) -> Target:
    default = surroundings.variable(DEFAULT_VERSION_HOSTNAME)
    if default is None:
        return UNKNOWN_APP_VERSION
    # The reference tests the suffix alone, without the dot: 'badexample.com' is version 'ba' of 'example.com'.
    version = host[: -(len(default) + 1)] if host.endswith(default) else ""
    return version or DEFAULT_APP_VERSION


def _tell_once() -> None:
    """App Engine warned at every Task; a program beside the web server has no HTTP_HOST, and need not."""
    if HTTP_HOST not in _told:
        _told.add(HTTP_HOST)
        _log.debug("HTTP_HOST is not set: tasks made here have no Host header and no known target")
