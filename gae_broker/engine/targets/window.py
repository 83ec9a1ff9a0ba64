"""How many requests a server is sent at the same time: a few to a fast one, all that queues allow to a slow one."""

from __future__ import annotations

LEAST = 64
PERIOD_S = 0.25


class Window:
    """Opens while its requests take longer than a period, and closes again when they take far less.

    Of a queue that allows 1,000 concurrent requests a backlog would otherwise open 1,000 connections at once to a
    handler that answers in a millisecond, which slows down both sides and gains nothing.
    """

    def __init__(self) -> None:
        self._size = LEAST
        self._ended = 0
        self._was_full = False
        self._is_fast = False

    def size(self, limit: int) -> int:
        """Requests at a time, of ``limit`` that are allowed."""
        return min(self._size, limit)

    def room(self, in_hand: int, limit: int) -> int:
        """How many more to send now; to a fast server none until half of them are answered, to send larger batches."""
        size = self.size(limit)
        free = size - in_hand
        return free if not self._is_fast or free * 2 >= size else 0

    def ended(self) -> None:
        """A request ended."""
        self._ended += 1

    def filled(self) -> None:
        """There was more to send than fitted."""
        self._was_full = True

    def period(self, limit: int) -> None:
        """A period is over: draw the conclusions."""
        if self._was_full and self._ended < self._size:
            self._size = min(self._size * 2, max(limit, LEAST))
        self._is_fast = self._ended > self._size * 4
        if self._is_fast:
            self._size = max(self._size // 2, LEAST)
        self._ended = 0
        self._was_full = False
