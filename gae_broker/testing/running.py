"""Runs a runtime's due push tasks into applications, in this thread, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from gae_broker.domain.attempt import Done, GiveUp
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.engine.delivery import Attempt, Deliverer, HttpRequest, Outcome, Settled
from gae_broker.engine.runtime import Runtime
from gae_broker.ports import Delivery
from gae_broker.testing.clock import VirtualClock

_BATCH = 500
_US = 1_000_000


class Applications(Protocol):
    """What tasks run into."""

    def call(self, request: HttpRequest) -> tuple[Outcome, Exception | None]:
        """Make one request; its outcome, and what the application raised instead of answering."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One attempt at a task.

    Attributes:
        queue, name, method, url: the task.
        status: what the handler answered; ``None`` where it gave no answer.
        body: the answer's beginning.
        exception: what the handler raised, ``None`` where it answered itself.
        retry_count: attempts before this one, as the handler saw it in ``X-AppEngine-TaskRetryCount``.
        at: when it began, in the test's time, UTC.
        done: the task succeeded and is gone.
        given_up: the task failed for the last time and is gone; with neither, it is tried again.
    """

    queue: str
    name: str
    method: str
    url: str
    status: int | None
    body: bytes
    exception: Exception | None
    retry_count: int
    at: datetime
    done: bool
    given_up: bool


class EndlessTasksError(Exception):
    """`TaskRunner.run_all` made as many attempts as it was allowed to, and tasks are left.

    Attributes:
        runs: the attempts it made.
    """

    def __init__(self, runs: Sequence[TaskRun]) -> None:
        last = runs[-1]
        super().__init__(
            f"{len(runs)} attempts were made and tasks are left, lately {last.method} {last.url} (queue {last.queue}, "
            f"task {last.name}, try {last.retry_count + 1}, status {last.status}): give the queue a task_retry_limit, "
            "stop the task from adding itself, or allow more with run_all(limit=...)",
        )
        self.runs = list(runs)


class TaskRunner:
    """Runs tasks when it is told to, in order of eta and name over all queues.

    Rates, bucket sizes and max_concurrent_requests are not applied, as on App Engine's development server; a
    queue with rate 0 runs, one that was paused does not.

    Args:
        runtime: whose tasks.
        clock: its clock.
        applications: what they run into.
    """

    def __init__(self, runtime: Runtime, clock: VirtualClock, applications: Applications) -> None:
        self._runtime = runtime
        self._clock = clock
        self._applications = applications
        self._deliverer = Deliverer(runtime)

    def run_pending(self) -> list[TaskRun]:
        """Run every task that is due now, once; what they add or leave to retry waits for the next call.

        Raises:
            Error: the task queue itself failed; what did not run stays in its queue.
        """
        return self._round()[0]

    def run_all(self, limit: int = 1000) -> list[TaskRun]:
        """Run tasks, those they add and their retries too, moving time to each next eta until none is left.

        Raises:
            EndlessTasksError: after ``limit`` attempts there are tasks left.
            Error: as `run_pending`.
        """
        runs: list[TaskRun] = []
        while True:
            began_us = self._clock.now_us()
            made, drawn = self._round(limit - len(runs))
            runs += made
            if drawn:
                continue
            due_us = self._next_due_us()
            if due_us is not None and len(runs) >= limit:
                raise EndlessTasksError(runs)
            if due_us is None or due_us <= began_us:  # what was due and not to be had, somebody else has
                return runs
            self._clock.advance_to_us(due_us)

    def _queues(self) -> list[Queue]:
        push = [queue for queue in self._runtime.catalog.queues() if queue.mode is Mode.PUSH]
        return [queue for queue in push if not self._runtime.controller.is_paused(queue.name)]

    def _round(self, limit: int | None = None) -> tuple[list[TaskRun], int]:
        """One attempt at whatever is due; the attempts, and how many deliveries there were."""
        hand: list[tuple[Queue, Delivery]] = []
        runs: list[TaskRun] = []
        drawn = 0
        try:
            for queue in self._queues():
                hand += [(queue, delivery) for delivery in self._draw(queue)]
            hand.sort(key=lambda held: (held[1].message.due_us, held[1].message.key), reverse=True)
            while hand and (limit is None or len(runs) < limit):
                drawn += 1
                runs += self._run(*hand.pop())
        finally:
            if hand:
                self._runtime.broker.restore([delivery for _, delivery in hand])
        return runs, drawn

    def _draw(self, queue: Queue) -> list[Delivery]:
        drawn: list[Delivery] = []
        while True:
            batch = self._runtime.broker.get(Kind.PUSH, queue.name, _BATCH)
            drawn += batch
            if len(batch) < _BATCH:
                return drawn

    def _run(self, queue: Queue, delivery: Delivery) -> list[TaskRun]:
        # Admitted one by one: what an earlier task of this round deleted or purged must not run any more.
        runs = []
        for attempt in self._deliverer.admit(queue, [delivery]):
            outcome, exception = self._call(attempt)
            (settled,) = self._deliverer.settle(queue, [(attempt, outcome)])
            if settled.error is not None:
                self._runtime.broker.restore([delivery])
                raise settled.error
            runs.append(_task_run(settled, exception))
        return runs

    def _call(self, attempt: Attempt) -> tuple[Outcome, Exception | None]:
        try:
            return self._applications.call(attempt.request)
        except BaseException:
            self._runtime.broker.restore([attempt.delivery])
            raise

    def _next_due_us(self) -> int | None:
        depths = [self._runtime.broker.depth(Kind.PUSH, queue.name) for queue in self._queues()]
        return min((depth.oldest_due_us for depth in depths if depth.oldest_due_us is not None), default=None)


def _task_run(settled: Settled, exception: Exception | None) -> TaskRun:
    attempt, outcome = settled.attempt, settled.outcome
    return TaskRun(
        queue=attempt.copy.queue,
        name=attempt.copy.name,
        method=attempt.request.method,
        url=attempt.request.url,
        status=outcome.status,
        body=outcome.body_excerpt,
        exception=exception,
        retry_count=attempt.number - 1,
        at=datetime.fromtimestamp(outcome.started_us / _US, UTC),
        done=isinstance(settled.conclusion, Done),
        given_up=isinstance(settled.conclusion, GiveUp),
    )
