"""``params`` of a task: from a mapping to a form or query string, and back.

Source: ``_flatten_params`` and ``Task.extract_params`` of the reference implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import parse_qsl, urlencode

from gae_broker.errors import InvalidTaskError

Params = Mapping[str, object] | Mapping[bytes, object] | Mapping[str | bytes, object]
"""What may be given for ``params``."""

Extracted = dict[str | bytes, bytes | list[bytes]]
"""What `extract` answers: values are always bytes, keys are what the query was."""


def flatten(params: Params) -> list[tuple[bytes, bytes]]:
    """Pairs in order: text in UTF-8, bytes as they are, other scalars by ``str``.

    An iterable that is no string repeats its key for each of its elements (a mapping's are its keys), so an empty
    one leaves the key out.

    Raises:
        AttributeError: ``params`` has no ``items``, as on App Engine (a list of pairs, for instance).
        InvalidTaskError: a text cannot be written as UTF-8.
    """
    pairs: list[tuple[bytes, bytes]] = []
    for key, value in params.items():
        name = _encode(key)
        if isinstance(value, str | bytes) or not _is_iterable(value):
            pairs.append((name, _encode(value)))
        else:
            pairs.extend((name, _encode(element)) for element in cast("Iterable[object]", value))
    return pairs


def encode(params: Params) -> str:
    """The ``application/x-www-form-urlencoded`` text of `flatten`'s pairs."""
    return urlencode(flatten(params))


def extract(query: str | bytes | None) -> Extracted:
    """The parameters of a form or query string: a scalar for a single value, a list for repeated ones.

    Values are bytes in every case; keys are bytes only where the query is.

    Raises:
        ValueError: the text is no form; an empty one is, and has no parameters.
    """
    found: dict[str | bytes, list[bytes]] = {}
    if not query:
        return {}
    for key, value in cast("list[tuple[str | bytes, str | bytes]]", _parse(query)):
        found.setdefault(key, []).append(_encode(value))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _parse(query: str | bytes) -> object:
    # parse_qsl takes and gives either of the two, but not a union, in its types.
    return parse_qsl(cast("str", query), keep_blank_values=True, strict_parsing=True)


def _encode(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return str(value).encode()
    except UnicodeEncodeError as exc:
        raise InvalidTaskError(f"{value!r} cannot be written as UTF-8") from exc


def _is_iterable(value: object) -> bool:
    try:
        iter(cast("Iterable[object]", value))
    except TypeError:
        return False
    return True
