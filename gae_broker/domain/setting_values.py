"""How the values of settings are written: times, targets, process bounds, URLs with their passwords masked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gae_broker.domain.time_units import UNIT_S

DEFAULT_TARGET = "default"
_TARGET_NAME = re.compile(r"(?:(?!-)[a-z0-9\-]{1,100}\.)?(?!-)[a-z0-9\-]{1,63}")
_NAMED = re.compile(r"([A-Za-z0-9.\-_]+)=(.*)")
_APPLICATION = re.compile(r"(?:wsgi\+|asgi\+)?[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(\))?")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*([smhd]?)")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_LAST_PORT = 65_535
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,40}")
_AUTHORITY_PASSWORD = re.compile(r"([A-Za-z][\w+.\-]*://[^:/?#@\s]*):[^/?#\s]*@")
_WILD_PASSWORD = re.compile(
    r"((?!https?:)\b[A-Za-z][\w+.\-]*://[^:/?#@\s]*):\S*@|(https?://[^:/?#@\s]*):(?!\d+[/?#])\S*@"
)
_QUERY_PASSWORD = re.compile(r"([?&;](?:\w*password|passwd|pwd|secret|token|\w*key)=)[^&;\s]+", re.IGNORECASE)
_MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True)
class Processes:
    """How many processes call in-process targets: at least, and at most."""

    least: int
    most: int

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least}-{self.most}"


def mask(url: object) -> str:
    """A text with the passwords of all URLs in it replaced by ``***``.

    A password that holds ``/``, ``?`` or ``#`` unescaped makes no valid URL, but is masked too; only in http URLs
    ``:8000/...@`` is taken for a port and a path.
    """
    text = _AUTHORITY_PASSWORD.sub(r"\1:***@", str(url))
    text = _WILD_PASSWORD.sub(lambda match: f"{match[1] or match[2]}:***@", text)
    return _QUERY_PASSWORD.sub(r"\1***", text)


def text(value: object) -> str:
    """A text, as it stands."""
    if not isinstance(value, str):
        raise ValueError("a text")  # noqa: TRY004 - every parser here raises ValueError
    return value.strip()


def address(value: object) -> str:
    """Where to listen: ``host:port``, ``[::1]:port``, or nothing."""
    match = _ADDRESS.fullmatch(value.strip()) if isinstance(value, str) else None
    if value != "" and (match is None or int(match[1]) > _LAST_PORT):
        raise ValueError("HOST:PORT, like 127.0.0.1:8081 or [::1]:8081")
    return str(value).strip()


def one_of(*choices: str) -> Callable[[object], str]:
    """A parser of texts that are one of a few."""

    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return parse


def prefix(value: object) -> str:
    """The first part of RabbitMQ names."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ValueError("1 to 40 letters, digits, '.', '_' and '-'")
    return value


def seconds(least: float, most: float) -> Callable[[object], float]:
    """A parser of times like ``30``, ``1.5s``, ``10m`` or ``7d``, in seconds, within bounds."""

    def parse(value: object) -> float:
        match = _TIME.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
        result = float(match[1]) * UNIT_S[match[2] or "s"] if match else -1.0
        if not least <= result <= most:
            raise ValueError(f"a time from {show_seconds(least)} to {show_seconds(most)}, like 30s, 10m, 2h or 7d")
        return result

    return parse


def show_seconds(value: object) -> str:
    """A time in the largest unit that leaves it whole."""
    number = float(str(value))
    for unit, size in reversed(UNIT_S.items()):
        if number and number % size == 0:
            return f"{number / size:.0f}{unit}"
    return f"{number:g}s"


def count(least: int, most: int) -> Callable[[object], int]:
    """A parser of whole numbers within bounds."""

    def parse(value: object) -> int:
        match = re.fullmatch(r"[0-9]{1,9}", str(value).strip(), re.ASCII)
        if not match or not least <= int(match[0]) <= most:
            raise ValueError(f"a number from {least} to {most}")
        return int(match[0])

    return parse


def processes(value: object) -> Processes:
    """``4`` or ``1-8``; an integer; a `Processes`."""
    if isinstance(value, Processes):
        return value
    expected = f"a number or bounds like 1-8, from 1 to {_MOST_PROCESSES}"
    match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", str(value).strip(), re.ASCII)
    if not match:
        raise ValueError(expected)
    found = Processes(int(match[1]), int(match[2] or match[1]))
    if not 1 <= found.least <= found.most <= _MOST_PROCESSES:
        raise ValueError(expected)
    return found


def targets(value: object) -> dict[str, str]:
    """Targets by name: ``default=http://localhost:8000,worker=module:app``, or a table.

    A target without a name is the default one.

    Raises:
        ValueError: a malformed name or target, or a name given twice.
    """
    if isinstance(value, Mapping):
        pairs = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, str):
        pairs = [_pair(item.strip()) for item in value.split(",") if item.strip()]
    else:
        raise ValueError("NAME=TARGET, separated by commas")  # noqa: TRY004 - every parser here raises ValueError
    found: dict[str, str] = {}
    for name, target in pairs:
        if name in found:
            raise ValueError(f"each target once, but '{name}' is there twice")
        found[_target_name(name)] = _target(target)
    return found


def show_targets(value: object) -> str:
    """Targets as one text."""
    return ",".join(f"{name}={mask(item)}" for name, item in value.items()) if isinstance(value, Mapping) else ""


def _pair(item: str) -> tuple[str, str]:
    match = _NAMED.fullmatch(item)
    return (match[1], match[2].strip()) if match else (DEFAULT_TARGET, item)


def _target_name(name: str) -> str:
    if not _TARGET_NAME.fullmatch(name):
        raise ValueError(f"target names like 'default', 'module' or 'version.module', not '{name}'")
    return name


def _target(target: object) -> str:
    expected = f"targets like http://localhost:8000 or module:app, not '{mask(target)}'"
    if not isinstance(target, str):
        raise ValueError(expected)  # noqa: TRY004 - every parser here raises ValueError
    if "://" not in target:
        if not _APPLICATION.fullmatch(target):
            raise ValueError(expected)
        return target
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(expected)
    _ = parts.port  # raises ValueError where it is no number
    return target.rstrip("/")
