"""Partial answers: the ``fields`` parameter of Google's APIs, as ``kind,items(id,tag)`` or ``stats/totalTasks``."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gae_broker.web.rest.answers import RestError, invalid

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|\*|[(),/])")
_ALL = "*"
_END = ""
_SIGNS = frozenset({"(", ")", ",", "/", _END})
_LONGEST = 8000
_DEEPEST = 20


@dataclass(slots=True)
class Fields:
    """A tree of wanted names; where a name has no tree below it, all of it is wanted."""

    wanted: dict[str, Fields] = field(default_factory=dict)

    def below(self, name: str) -> Fields | None:
        """What is wanted of a member: ``None`` nothing, an empty tree all."""
        if not self.wanted:
            return self
        return self.wanted.get(name, self.wanted.get(_ALL))

    def of(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        """The wanted part of a value; of a list, of each of its items."""
        if not self.wanted:
            return value
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        found = {}
        for name, item in value.items():
            below = self.below(name)
            if below is not None:
                found[name] = below.of(item)
        return found


def parse(text: str | None) -> Fields:
    """A ``fields`` parameter; all, where there is none.

    Raises:
        RestError: 400, it cannot be read.
    """
    if text is None:
        return Fields()
    tokens: deque[str] = deque()
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None or len(text) > _LONGEST:
            raise _wrong(text)
        tokens.append(match[1])
        position = match.end()
    tokens.append(_END)
    fields = Fields()
    _read_into(fields, tokens, text, 0)
    if tokens[0] != _END:
        raise _wrong(text)
    return fields


def _read_into(fields: Fields, tokens: deque[str], text: str, depth: int) -> None:
    """Read ``a/b,c(d)`` into a tree, and leave what is behind it."""
    if depth > _DEEPEST:
        raise _wrong(text)
    while True:
        at = fields
        while True:
            if tokens[0] in _SIGNS:
                raise _wrong(text)
            at = at.wanted.setdefault(tokens.popleft(), Fields())
            if tokens[0] != "/":
                break
            tokens.popleft()
        if tokens[0] == "(":
            tokens.popleft()
            _read_into(at, tokens, text, depth + 1)
            if tokens.popleft() != ")":
                raise _wrong(text)
        if tokens[0] != ",":
            return
        tokens.popleft()


def _wrong(text: str) -> RestError:
    shown = text if len(text) <= 80 else text[:80] + "..."  # noqa: PLR2004 - what a message has room for
    return invalid(f"fields={shown!r} cannot be read; it is written like kind,items(id,tag)", "fields")
