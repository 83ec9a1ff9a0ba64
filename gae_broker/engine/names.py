"""Chooses names for tasks that were added without one, and ids for copies."""

from __future__ import annotations

import os
from typing import Protocol

_RANDOM_BYTES = 8
_FLOOR = 10**18


class Namer(Protocol):
    """Where chosen names come from; called from any thread."""

    def task_name(self) -> str:
        """A name that no other task bears, of the form ``[a-zA-Z0-9_-]{1,500}``."""

    def copy_id(self) -> str:
        """An id that no other copy of any task bears, in any process."""


class RandomNamer:
    """Names as production chose them: 19 or 20 random digits.

    The randomness is the operating system's, so a forked child does not repeat its parent's names.
    """

    def task_name(self) -> str:
        """19 or 20 digits; among ten million names two are equal with a probability of one in 370,000."""
        return str(_FLOOR + int.from_bytes(os.urandom(_RANDOM_BYTES)))

    def copy_id(self) -> str:
        """32 hexadecimal digits."""
        return os.urandom(16).hex()
