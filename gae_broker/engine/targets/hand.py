"""The attempts that a target has in hand, and who waits for it to have fewer."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.gauge import Gauge
from gae_broker.engine.targets.target import Job

_US = 1_000_000

Numbered = tuple[int, HttpRequest]
Result = tuple[int, Outcome | None]


class Hand:
    """Attempts by number. Used on the dispatcher's loop only."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._numbers = itertools.count(1)
        self._gauge = Gauge()
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def take(self, jobs: Sequence[Job]) -> list[Numbered]:
        """Number attempts."""
        numbered = [(next(self._numbers), job) for job in jobs]
        self._jobs.update(numbered)
        return [(number, job.request) for number, job in numbered]

    def resolve(self, results: Iterable[Result]) -> None:
        """End attempts; a number that is not in hand (any more) is ignored."""
        for number, outcome in results:
            job = self._jobs.pop(number, None)
            if job is None:
                continue
            if outcome is None:
                self._gauge.stalled()
            else:
                self._gauge.observe((outcome.ended_us - outcome.started_us) / _US)
            job.done(outcome)
        self.notify()

    def forget(self) -> None:
        """End all attempts without telling anybody."""
        self._jobs.clear()
        self._waiting.clear()

    def room(self, workers: int) -> int:
        """Attempts that so many workers can be given now.

        Where they are given many at once, none until half of them are done: a few large batches cost the broker
        less than many small ones.
        """
        depth = self._gauge.depth(workers)
        free = depth - len(self._jobs)
        return free if depth <= workers or free * 2 >= depth else 0

    def when_room(self, notify: Callable[[], None]) -> None:
        """As `Target.when_room`."""
        if notify not in self._waiting:
            self._waiting.append(notify)

    def notify(self) -> None:
        """Call those who wait, in the order in which they came; who still finds no room waits again."""
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()
