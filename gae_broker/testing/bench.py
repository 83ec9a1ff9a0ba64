"""A private task queue service for one test: the engine on a broker and a ledger in memory, and a clock to move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from gae_broker import taskqueue
from gae_broker.domain.task import Copy, Kind
from gae_broker.engine import runtime as runtimes
from gae_broker.engine.runtime import Runtime
from gae_broker.ports import Clock
from gae_broker.settings import Settings
from gae_broker.testing.applications import InProcess
from gae_broker.testing.clock import VirtualClock
from gae_broker.testing.names import SequentialNamer
from gae_broker.testing.queue_source import Queues, QueueSource, SourceCatalog, read_queues
from gae_broker.testing.running import Applications, TaskRun, TaskRunner
from gae_broker.testing.transactions import MemoryTransaction, transaction

_EVERYTHING = 2**31 - 1
_US = 1_000_000


class TaskBench:
    """What a test holds in its hands: adds, lists, runs tasks, and lets time pass.

    While it is installed (a ``with`` block does so), `gae_broker.taskqueue` and `gae_broker.deferred` use its
    runtime in the whole process; afterwards the previous one is back and everything of this one is gone.

    Args:
        queues: the queues, as `read_queues` takes them; ``None`` is the ``default`` queue alone.
        app: the WSGI or ASGI application that tasks run into, as an object or as ``module:app``; without one,
            only deferred calls run.
        targets: applications for tasks and queues that name a target; other targets run into ``app``.
        applications: makes, with the clock, whatever runs tasks in place of ``app`` and ``targets``.
        source: in place of ``queues``, where to look for them before each call.
        all_valid: every queue name is a push queue's.
        gettime: where the clock's time comes from, seconds since the epoch; ``None`` is the system's.

    Raises:
        QueueYamlError: the queues cannot be used.
    """

    def __init__(
        self,
        queues: Queues = None,
        *,
        app: object = None,
        targets: Mapping[str, object] | None = None,
        applications: Callable[[Clock], Applications] | None = None,
        source: QueueSource | None = None,
        all_valid: bool = False,
        gettime: Callable[[], float] | None = None,
    ) -> None:
        self.source = QueueSource() if source is None else source
        if queues is not None:
            self.source.fixed = read_queues(queues)
        self.clock = VirtualClock(gettime)
        catalog = SourceCatalog(self.source, all_valid=all_valid)
        settings = Settings(url="embedded://", ledger="sqlite://", queue_yaml="")
        self.runtime = Runtime.open(settings, clock=self.clock, namer=SequentialNamer(), queues=catalog)
        catalog.declare_with(self.runtime.broker.declare)
        into = InProcess(self.clock, app, targets or {}) if applications is None else applications(self.clock)
        self.runner = TaskRunner(self.runtime, self.clock, into)
        self._previous: Runtime | None = None
        self._installed = False

    def install(self) -> None:
        """Make its runtime the process's."""
        if not self._installed:
            self._previous = runtimes.use(self.runtime)
            self._installed = True

    def close(self) -> None:
        """Put back the runtime that was there before, and forget every task. Idempotent."""
        if self._installed:
            self._installed = False
            runtimes.use(self._previous)
        self.runtime.close()

    add = staticmethod(taskqueue.add)
    """`taskqueue.add`, with its arguments."""

    def list(self, queue: str | None = None) -> Sequence[taskqueue.Task]:
        """The tasks of one queue or of all, in order of eta: waiting, delayed, and leased ones.

        Pull tasks are what they are (method PULL, with their tag), unlike those of `filter`.
        """
        return self._tasks([known.name for known in self.runtime.catalog.queues()] if queue is None else [queue])

    def filter(
        self,
        url: str | None = None,
        name: str | None = None,
        queue_names: str | Iterable[str] | None = None,
    ) -> Sequence[taskqueue.Task]:
        """The tasks of `list` that fit: by whole url, by name, of one queue or of several."""
        wanted = {queue_names} if isinstance(queue_names, str) else None if queue_names is None else set(queue_names)
        known = [queue.name for queue in self.runtime.catalog.queues() if wanted is None or queue.name in wanted]
        return [task for task in self._tasks(known) if url in (None, task.url) and name in (None, task.name)]

    def copies(self, queue: str) -> Sequence[Copy]:
        """The tasks of a queue as the engine sees them, in order of eta.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        return self.runtime.browser.tasks(queue, _EVERYTHING)

    def dead(self, queue: str = "default") -> Sequence[str]:
        """The names of a push queue's tasks that were given up, in the order they were."""
        found = self.runtime.broker.browse(Kind.DEAD, queue, _EVERYTHING, None) or []
        return [message.key for message in found]

    def run_pending(self) -> Sequence[TaskRun]:
        """Run every task that is due now, once; see `TaskRunner.run_pending`."""
        return self.runner.run_pending()

    def run_all(self, limit: int = 1000) -> Sequence[TaskRun]:
        """Run tasks, what they add, and retries, letting time pass, until none is left; see `TaskRunner.run_all`."""
        return self.runner.run_all(limit)

    def advance(self, by: float | timedelta = 0.0, **units: float) -> None:
        """Let time pass: seconds, a timedelta, or a timedelta's keywords (``minutes=5``).

        Raises:
            ValueError: time does not run backwards.
        """
        self.clock.advance((by if isinstance(by, timedelta) else timedelta(seconds=by)) + timedelta(**units))

    def now(self) -> datetime:
        """The test's time, UTC."""
        return datetime.fromtimestamp(self.clock.now_us() / _US, UTC)

    def transaction(self) -> AbstractContextManager[MemoryTransaction]:
        """A transaction to add tasks in with ``transactional=True``; committed at the block's end."""
        return transaction()

    def forget(self, queue: str, names: Sequence[str] | None) -> None:
        """Remove tasks as if they had never been, so that their names are free at once.

        Args:
            queue: the queue.
            names: the tasks; ``None`` is all of the queue.
        """
        gone = [copy.name for copy in self.copies(queue) if names is None or copy.name in names]
        self.runtime.remover.delete(queue, gone)
        self.runtime.ledger.free(queue, names)

    def purge(self) -> None:
        """Remove every task of every queue."""
        for queue in self.runtime.catalog.queues():
            self.runtime.remover.purge(queue.name)

    def _tasks(self, queues: Iterable[str]) -> Sequence[taskqueue.Task]:
        copies = [copy for queue in queues for copy in self.copies(queue)]
        return [_task(copy) for copy in sorted(copies, key=lambda copy: (copy.eta_us, copy.name))]

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _task(copy: Copy) -> taskqueue.Task:
    content = copy.content
    eta = datetime.fromtimestamp(copy.eta_us / _US, UTC)
    if content.kind is Kind.PULL:
        return taskqueue.Task(
            content.payload,
            name=copy.name,
            method=content.method,
            eta=eta,
            tag=content.tag,
            _size_check=False,
        )
    return taskqueue.Task(
        content.payload,
        name=copy.name,
        method=content.method,
        url=content.url,
        headers=content.headers,
        eta=eta,
        _size_check=False,
    )
