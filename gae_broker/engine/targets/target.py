"""What the dispatcher needs of whatever tasks are sent to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make.

    ``done`` is called once, on the loop: with the outcome, or with ``None`` if the attempt did not begin and the task
    must go back to its queue.
    """

    request: HttpRequest
    done: Callable[[Outcome | None], None]


class Target(Protocol):
    """Makes attempts. Every method is called on the dispatcher's loop."""

    async def open(self) -> None:
        """Get ready. `ConfigurationError` where that can never succeed."""

    def expect(self, concurrency: int) -> None:
        """The queues allow so many attempts together."""

    def room(self) -> int:
        """How many attempts it takes now without making one of them wait noticeably."""

    def when_room(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` once, as soon as `room` may be more than it is."""

    def start(self, jobs: Sequence[Job]) -> None:
        """Begin attempts.

        1. More than `room` are accepted too; what could not begin within a second is given back.
        2. A task that asks to fail fast is not made to wait: without free capacity it fails at once.
        """

    def withdraw(self) -> None:
        """Give back every attempt that has not begun."""

    async def close(self) -> None:
        """Break off what still runs, without calling ``done`` for it, and release everything. Idempotent."""
