"""A task's headers: names are the same in any case, the last way of writing one stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gae_broker.errors import InvalidTaskError

Name = str | bytes
"""A header's name; bytes are a Python 2 leftover that App Engine takes."""


class Headers:
    """Headers in the order they were last set.

    Args:
        given: a mapping, pairs, or ``None``.

    Raises:
        InvalidTaskError: a name is neither text nor bytes.
    """

    __slots__ = ("_data", "_written")

    def __init__(self, given: Mapping[str, object] | Iterable[tuple[str, object]] | None = None) -> None:
        self._data: dict[Name, object] = {}
        self._written: dict[Name, Name] = {}
        pairs = given.items() if isinstance(given, Mapping) else given or ()
        for name, value in pairs:
            self.set(name, value)

    def set(self, name: Name, value: object) -> None:
        """Set a header; one of the same name in another case goes away."""
        if not isinstance(name, str | bytes):
            raise InvalidTaskError(f"header name {name!r} is not text")
        written = self._written.get(name.lower())
        if written is not None:
            del self._data[written]
        self._written[name.lower()] = name
        self._data[name] = value

    def setdefault(self, name: str, value: object) -> None:
        """Set a header unless it is there, whatever its value."""
        if name not in self:
            self.set(name, value)

    def get(self, name: str) -> object:
        """A header's value; KeyError where it is not there."""
        return self._data[self._written[name.lower()]]

    def as_dict(self) -> dict[Name, object]:
        """A fresh plain dict, which tells upper from lower case."""
        return dict(self._data)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._written

    def __iter__(self) -> Iterator[Name]:
        return iter(self._data)
