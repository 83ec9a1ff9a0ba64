"""Task names as App Engine's stub chooses them."""

from __future__ import annotations

import itertools
import uuid


class SequentialNamer:
    """Names unnamed tasks ``task1``, ``task2``, ... in the order they are added."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def task_name(self) -> str:
        """The next task name."""
        return f"task{next(self._numbers)}"

    def copy_id(self) -> str:
        """A unique copy id."""
        return uuid.uuid4().hex
