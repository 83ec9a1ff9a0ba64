"""How a setting writes secrets of which each has a name: signing keys by id, tokens by address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SEPARATORS = re.compile(r"[,\n]")


def pairs(value: object, expected: str) -> Iterable[tuple[object, object]]:
    """The names and secrets of ``name:SECRET,...``, of one a line, or of a table; none of them checked.

    Raises:
        ValueError: it is nothing of the kind; ``expected`` is the text.
    """
    if isinstance(value, Mapping):
        return value.items()
    if not isinstance(value, str):
        raise ValueError(expected)  # noqa: TRY004 - every parser of settings raises ValueError
    parts = [item.strip().partition(":") for item in _SEPARATORS.split(value) if item.strip()]
    return [(name.strip(), secret.strip()) for name, _, secret in parts]
