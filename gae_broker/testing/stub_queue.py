"""The inner objects of App Engine's stub that test suites reach into: its group of queues, and each queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum

from gae_broker.domain.queue import Mode, Queue
from gae_broker.errors import UnknownQueueError
from gae_broker.testing.bench import TaskBench
from gae_broker.testing.listings import QueueDict, TaskDict, queue_dict, task_dict


class DeleteResult(IntEnum):
    """What `StubQueue.Delete` answers: App Engine's ``TaskQueueServiceError`` codes."""

    OK = 0
    TOMBSTONED_TASK = 11
    UNKNOWN_TASK = 14


class StubQueue:
    """One queue, seen as ``taskqueue_stub._Queue``. Names in App Engine's manner; the tasks are the bench's."""

    def __init__(self, bench: TaskBench, name: str) -> None:
        self._bench = bench
        self.queue_name = name

    @property
    def _config(self) -> Queue:
        return self._bench.runtime.catalog.get(self.queue_name)

    @property
    def queue_mode(self) -> int:
        """0 for a push queue, 1 for a pull queue."""
        return int(self._config.mode is Mode.PULL)

    @property
    def bucket_capacity(self) -> int:
        """The queue's bucket_size."""
        return self._config.bucket_size

    @property
    def user_specified_rate(self) -> str:
        """The queue's rate, as queue.yaml has it."""
        return self._config.rate_text

    def Count(self) -> int:  # noqa: N802  (App Engine's name)
        """How many tasks there are, leased and delayed ones too."""
        return len(self._bench.copies(self.queue_name))

    def Oldest(self) -> int | None:  # noqa: N802
        """The smallest eta in microseconds, ``None`` where there is no task."""
        return min((copy.eta_us for copy in self._bench.copies(self.queue_name)), default=None)

    def Delete(self, name: str) -> DeleteResult:  # noqa: N802
        """Delete a task and keep its tombstone."""
        names = {copy.name for copy in self._bench.copies(self.queue_name)}
        (deleted,) = self._bench.runtime.remover.delete(self.queue_name, [name])
        if deleted and name in names:
            return DeleteResult.OK
        fact = self._bench.runtime.ledger.facts(self.queue_name, [name]).get(name)
        return DeleteResult.UNKNOWN_TASK if fact is None else DeleteResult.TOMBSTONED_TASK

    def PurgeQueue(self) -> None:  # noqa: N802
        """Remove all tasks and keep their tombstones."""
        self._bench.runtime.remover.purge(self.queue_name)

    def GetTasksAsDicts(self) -> list[TaskDict]:  # noqa: N802
        """All tasks in order of eta."""
        now_us = self._bench.clock.now_us()
        return [task_dict(copy, now_us) for copy in self._bench.copies(self.queue_name)]

    def GetTaskAsDict(self, task_name: str) -> TaskDict | None:  # noqa: N802
        """One task, ``None`` where there is none of this name."""
        return next((task for task in self.GetTasksAsDicts() if task["name"] == task_name), None)

    def as_dict(self) -> QueueDict:
        """The queue as ``GetQueues`` lists it."""
        return queue_dict(self._config, self._bench.copies(self.queue_name), self._bench.clock.now_us())


class StubGroup:
    """All queues, seen as ``taskqueue_stub._Group``."""

    def __init__(self, bench: TaskBench) -> None:
        self._bench = bench

    @property
    def _queues(self) -> Mapping[str, StubQueue]:
        return _Queues(self._bench)

    def HasQueue(self, queue_name: str) -> bool:  # noqa: N802
        """Whether there is such a queue."""
        return queue_name in self._queues

    def GetQueue(self, queue_name: str) -> StubQueue:  # noqa: N802
        """A queue by its name.

        Raises:
            KeyError: there is no such queue.
        """
        return self._queues[queue_name]

    def GetQueues(self) -> Mapping[str, StubQueue]:  # noqa: N802
        """All queues by name."""
        return self._queues

    def GetQueuesAsDicts(self) -> list[QueueDict]:  # noqa: N802
        """All queues in order of name."""
        return [self._queues[name].as_dict() for name in sorted(self._queues)]


class _Queues(Mapping[str, StubQueue]):
    """The catalog's queues as they are at each look."""

    def __init__(self, bench: TaskBench) -> None:
        self._bench = bench

    def __getitem__(self, name: str) -> StubQueue:
        try:
            self._bench.runtime.catalog.get(name)
        except UnknownQueueError:
            raise KeyError(name) from None
        return StubQueue(self._bench, name)

    def __iter__(self) -> Iterator[str]:
        return iter([queue.name for queue in self._bench.runtime.catalog.queues()])

    def __len__(self) -> int:
        return len(self._bench.runtime.catalog.queues())
