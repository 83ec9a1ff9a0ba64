"""Who may use a database now: writers in turn where there can be only one, nobody while the process forks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Lets readers and writers of one process in.

    Args:
        serial: writers take turns.
        private: readers take turns with them.
    """

    def __init__(self, *, serial: bool, private: bool) -> None:
        self._writers = threading.Lock() if serial else None
        self._private = private
        self._users = 0
        self._shut = False
        self._changed = threading.Condition()

    @contextmanager
    def writing(self, wait_s: float) -> Iterator[bool]:
        """Whether the turn came within ``wait_s``; it lasts as long as the block."""
        if self._writers is None:
            with self._inside():
                yield True
            return
        if not self._writers.acquire(timeout=wait_s):
            yield False
            return
        try:
            with self._inside():
                yield True
        finally:
            self._writers.release()

    @contextmanager
    def reading(self, wait_s: float) -> Iterator[bool]:
        """Whether reading may begin within ``wait_s``; until the end of the block."""
        if self._private:
            with self.writing(wait_s) as turn:
                yield turn
            return
        with self._inside():
            yield True

    def shut(self, wait_s: float) -> bool:
        """Let nobody in any more, and wait until all are out; `open` lets them in again.

        Returns:
            Whether they were out in time.
        """
        with self._changed:
            self._shut = True
            return self._changed.wait_for(lambda: not self._users, wait_s)

    def open(self) -> None:
        """End what `shut` began."""
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()
