"""Whether App Engine's names are answered in this process, and by what."""

from __future__ import annotations

from enum import StrEnum


class Shim(StrEnum):
    """What stands in App Engine's place."""

    OFF = "0"
    NAMES = "1"
    """App Engine's import names lead to our modules."""
    SERVICE = "service"
    """Google's own client stays, and finds our queues behind its API proxy."""


_WRITTEN = {
    **dict.fromkeys(("", "0", "no", "false", "off"), Shim.OFF),
    **dict.fromkeys(("1", "yes", "true", "on"), Shim.NAMES),
    "service": Shim.SERVICE,
}


def parse(value: object) -> Shim:
    """A setting's value.

    Raises:
        ValueError: with what was expected.
    """
    found = _WRITTEN.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"one of {', '.join(shim.value for shim in Shim)}")
    return found
