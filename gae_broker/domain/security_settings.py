"""How the settings of security are written: who may send unsigned, which paths are tasks', what targets are told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gae_broker.domain import setting_values as values

_HOOK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)
_CREDENTIALS = re.compile(r"[A-Za-z][A-Za-z0-9_-]* [\x21-\x7e]+", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\.\*)?")
_NAMED = re.compile(r"([A-Za-z0-9.\-_]+)=(.+)")


class Unsigned(StrEnum):
    """What becomes of task requests without a signature."""

    REFUSE = "refuse"
    LOOPBACK = "loopback"
    """Without keys, those from this machine are believed: for development."""


class UnsignedPayloads(StrEnum):
    """What becomes of deferred payloads without a signature, where there are keys."""

    REFUSE = "refuse"
    ACCEPT = "accept"
    """While tasks of the time before there were keys are still in the queues."""


@dataclass(frozen=True, slots=True, repr=False)
class Authorization:
    """What a target's requests say in ``Authorization``: a fixed text, or what ``module:function`` answers."""

    credentials: str = ""
    hook: str = ""

    def __repr__(self) -> str:
        return f"Authorization({str(self)!r})"

    def __str__(self) -> str:
        return self.hook or f"{self.credentials.partition(' ')[0]} ***"


def authorization(value: object) -> dict[str, Authorization]:
    """``NAME=Bearer TOKEN,NAME=module:function``, or a table; a name is a target's.

    Raises:
        ValueError: what was expected; no part of a token is in it.
    """
    expected = "NAME=Bearer TOKEN or NAME=module:function, separated by commas; NAME is a target's"
    if isinstance(value, Mapping):
        pairs = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, str):
        matches = [_NAMED.fullmatch(item.strip()) for item in value.split(",") if item.strip()]
        pairs = [(match[1], match[2].strip()) if match else ("", "") for match in matches]
    else:
        raise ValueError(expected)  # noqa: TRY004 - every parser of settings raises ValueError
    found: dict[str, Authorization] = {}
    for name, text in pairs:
        if isinstance(text, Authorization):
            found[name] = text
        elif name and name not in found and isinstance(text, str) and _HOOK.fullmatch(text):
            found[name] = Authorization(hook=text)
        elif name and name not in found and isinstance(text, str) and _CREDENTIALS.fullmatch(text):
            found[name] = Authorization(credentials=text)
        else:
            raise ValueError(expected)
    return found


def show_authorization(value: object) -> str:
    """Names and hooks; no tokens."""
    return ",".join(f"{name}={item}" for name, item in value.items()) if isinstance(value, Mapping) else "***"


def paths(value: object) -> tuple[str, ...]:
    """Paths that begin with ``/``, separated by commas, or a list of them.

    Raises:
        ValueError: what was expected.
    """
    found = _items(value, "paths like /tasks,/cron")
    if any(not path.startswith("/") or "?" in path or "#" in path for path in found):
        raise ValueError("paths like /tasks,/cron: each begins with '/' and has no query")
    return found


def patterns(value: object) -> tuple[str, ...]:
    """Names of callables: ``module.function``, or ``module.*`` for all in a module and below it.

    Raises:
        ValueError: what was expected.
    """
    found = _items(value, "names like shop.mail.send,shop.tasks.*")
    if any(not _PATTERN.fullmatch(pattern) for pattern in found):
        raise ValueError("names like shop.mail.send, or shop.tasks.* for all of a module")
    return found


def show_items(value: object) -> str:
    """A list as one text."""
    return ",".join(str(item) for item in value) if isinstance(value, tuple) else values.text(value)


def _items(value: object, expected: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(expected)
    return tuple(item.strip() for item in value if item.strip())
