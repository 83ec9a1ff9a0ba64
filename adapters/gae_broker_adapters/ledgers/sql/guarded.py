"""A psycopg connection that does not wait for ever.

``statement_timeout`` is the server's, and TCP's timeouts notice a server whose host does not answer; none of them ends
a call to a server process that is suspended, or that a proxy keeps connected to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeVar

import psycopg
from psycopg.waiting import Ready, Wait

T = TypeVar("T")

PATIENCE_S = 15.0
"""How long one step of a call may take; over `postgresql.STATEMENT_S`, so that the server's own limit speaks first."""

_WAKE_S = 0.1


class GuardedConnection(psycopg.Connection[tuple[object, ...]]):
    """Ends itself where the server leaves a statement unanswered for `patience_s` seconds."""

    patience_s = PATIENCE_S

    def wait(self, gen: Generator[Wait, Ready | int, T], interval: float = _WAKE_S, timeout: float | None = None) -> T:
        """As psycopg's, which lets a generator go on every ``interval`` even if nothing came.

        Raises:
            psycopg.OperationalError: nothing came for too long; the connection is closed.
        """
        patience_s = self.patience_s if timeout is None else min(timeout, self.patience_s)
        return super().wait(self._watched(gen, patience_s), interval)

    def _watched(self, gen: Generator[Wait, Ready | int, T], patience_s: float) -> Generator[Wait, Ready | int, T]:
        deadline = time.monotonic() + patience_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server did not answer for {patience_s:.3g} s")
                wanted = gen.send(ready)
        except StopIteration as done:
            value: T = done.value
            return value
