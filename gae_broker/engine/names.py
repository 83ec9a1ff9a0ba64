"""Chooses names for tasks that were added without one, and ids for copies.

Both begin with the time of day they were made at, in real time whatever clock the engine runs on: in an index
over a million of them, a batch made together then touches a few neighbouring pages, not a page for each. With
purely random ones the embedded broker was measured at 100,000 messages/s with 1,000 stored and 19,000/s with a
million; with these at 100,000/s with either.
"""

from __future__ import annotations

import os
import time
from typing import Protocol

_NAME_RANDOM_DIGITS = 9
_COPY_RANDOM_BYTES = 10


class Namer(Protocol):
    """Where chosen names come from; called from any thread."""

    def task_name(self) -> str:
        """A name that no other task bears, of the form ``[a-zA-Z0-9_-]{1,500}``."""

    def copy_id(self) -> str:
        """An id that no other copy of any task bears, in any process."""


class RandomNamer:
    """Names that are digits, as production's were, though a few more of them.

    The randomness is the operating system's, so a forked child does not repeat its parent's names.
    """

    def task_name(self) -> str:
        """25 digits: microseconds since the epoch, and 9 at random to tell apart what the same one brought forth."""
        chance = int.from_bytes(os.urandom(8)) % 10**_NAME_RANDOM_DIGITS
        return f"{time.time_ns() // 1000:016}{chance:0{_NAME_RANDOM_DIGITS}}"

    def copy_id(self) -> str:
        """32 hexadecimal digits: milliseconds since the epoch in 12, and 20 at random."""
        return f"{time.time_ns() // 1_000_000:012x}{os.urandom(_COPY_RANDOM_BYTES).hex()}"
