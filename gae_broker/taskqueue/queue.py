"""Queue: adds, deletes and leases tasks. Each synchronous method is its ``_async`` form and ``get_result()``.

Those without a deadline do the work in their caller's thread: to hand it to another one costs more than most of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast, overload

from gae_broker.domain import task_arguments
from gae_broker.domain.task import Copy
from gae_broker.engine import runtime
from gae_broker.engine.enqueue import Added
from gae_broker.taskqueue import adding, deleting, leasing
from gae_broker.taskqueue.calls import check_deadline, create_rpc, given_or_new, in_this_thread, is_replaced
from gae_broker.taskqueue.rpc import RPC
from gae_broker.taskqueue.statistics import DEADLINE_S, QueueStatistics
from gae_broker.taskqueue.task import DEFAULT_QUEUE, Task


class Queue:
    """A queue of queue.yaml, by its name. Whether it exists shows with the first call.

    Args:
        name: ``[a-zA-Z0-9-]{1,100}``.

    Raises:
        InvalidQueueNameError: no queue can have this name.
        TypeError: the name is no string.
    """

    def __init__(self, name: str | bytes = DEFAULT_QUEUE) -> None:
        self.__name = task_arguments.queue_name(name)

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.__name

    __hash__ = None  # type: ignore[assignment]  # as on App Engine

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Queue):
            return NotImplemented
        return self.name == other.name

    def __repr__(self) -> str:
        return f"Queue<name={self.__name!r}>"

    @overload
    def add_async(self, task: Task, transactional: bool = False, rpc: RPC[Task] | None = None) -> RPC[Task]: ...
    @overload
    def add_async(
        self,
        task: Iterable[Task],
        transactional: bool = False,
        rpc: RPC[list[Task]] | None = None,
    ) -> RPC[list[Task]]: ...
    def add_async(self, task: Task | Iterable[Task], transactional: bool = False, rpc: object = None) -> object:
        """Add a task, or up to 100, without waiting. What is wrong with the arguments is raised at once.

        Args:
            task: a Task, or an iterable of Tasks, all push or all pull.
            transactional: add when, and only if, the current transaction commits.
            rpc: as from `create_rpc`.

        Returns:
            An RPC; its result is the Task, or a new list of the Tasks, with names, marked as enqueued.

        Raises:
            BadTaskStateError, BadTransactionStateError, DuplicateTaskNameError, InvalidTaskError,
            InvalidTaskNameError, TooManyTasksError, TransactionalRequestTooLargeError: nothing was added.
        """
        tasks, multiple = adding.as_list(task)
        new = adding.prepare(self.__name, tasks, transactional=transactional)

        def decide(answers: list[Added]) -> Task | list[Task]:
            adding.settle(self.__name, tasks, answers)
            return tasks if multiple else tasks[0]

        request = {"queue_name": self.__name, "tasks": tuple(new), "transactional": transactional}
        call: RPC[Task | list[Task]] = given_or_new(rpc)
        # A transaction belongs to the thread that is in it.
        return call._start(
            "BulkAdd",
            request,
            lambda: adding.call(self.__name, new, transactional=transactional),
            decide,
            here=transactional,
        )

    @overload
    def add(self, task: Task, transactional: bool = False) -> Task: ...
    @overload
    def add(self, task: Iterable[Task] | None, transactional: bool = False) -> list[Task]: ...
    def add(self, task: Task | Iterable[Task] | None, transactional: bool = False) -> Task | list[Task]:
        """Add a task, or up to 100; ``[]`` for what is falsy. See `add_async`.

        Of several tasks some may have been added when this raises; ``Task.was_enqueued`` tells which, and the
        error's ``failures`` why each other was not.

        Raises:
            TaskAlreadyExistsError, TombstonedTaskError: each task was added, now or before; names are taken.
            InvalidQueueModeError, UnknownQueueError, TaskTooLargeError, InvalidEtaError: nothing was added.
            TransientError: it is not known to be added; trying again is safe.
            PermissionDeniedError, ConfigurationError: the broker refuses this program until somebody changes it.
        """
        if not task:
            return []
        if is_replaced(self.add_async, _ADD_ASYNC):
            return self.add_async(task, transactional).get_result()
        return self._add(task, transactional)

    @overload
    def _add(self, task: Task, transactional: bool) -> Task: ...
    @overload
    def _add(self, task: Iterable[Task], transactional: bool) -> list[Task]: ...
    def _add(self, task: Task | Iterable[Task], transactional: bool) -> Task | list[Task]:
        # Without an RPC and the thread that would do its call: half of the time that a single add takes.
        tasks, multiple = adding.as_list(task)
        new = adding.prepare(self.__name, tasks, transactional=transactional)
        adding.settle(self.__name, tasks, adding.call(self.__name, new, transactional=transactional))
        return tasks if multiple else tasks[0]

    @overload
    def delete_tasks_async(self, task: Task, rpc: RPC[Task] | None = None) -> RPC[Task]: ...
    @overload
    def delete_tasks_async(self, task: Iterable[Task], rpc: RPC[list[Task]] | None = None) -> RPC[list[Task]]: ...
    def delete_tasks_async(self, task: Task | Iterable[Task], rpc: object = None) -> object:
        """Delete a task, or several, by their names, without waiting. Anyone may delete a leased task.

        Returns:
            An RPC; its result is the Task, or a new list of the Tasks. ``was_deleted`` tells which there were.

        Raises:
            BadTaskStateError: a task without a name, or deleted already.
            DuplicateTaskNameError: two tasks of one name.
        """
        tasks, multiple = adding.as_list(task)
        names = deleting.prepare(tasks)

        def decide(answer: deleting.Answer) -> Task | list[Task]:
            deleting.settle(tasks, answer)
            return tasks if multiple else tasks[0]

        request = {"queue_name": self.__name, "task_name": names}
        call: RPC[Task | list[Task]] = given_or_new(rpc)
        return call._start("Delete", request, lambda: deleting.call(self.__name, names), decide)

    @overload
    def delete_tasks(self, task: Task) -> Task: ...
    @overload
    def delete_tasks(self, task: Iterable[Task]) -> list[Task]: ...
    def delete_tasks(self, task: Task | Iterable[Task]) -> Task | list[Task]:
        """Delete a task, or several, by their names. See `delete_tasks_async`.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        if is_replaced(self.delete_tasks_async, _DELETE_TASKS_ASYNC):
            return self.delete_tasks_async(task).get_result()
        return self.delete_tasks_async(task, in_this_thread()).get_result()

    @overload
    def delete_tasks_by_name_async(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        task_name: str | bytes,
        rpc: RPC[Task] | None = None,
    ) -> RPC[Task]: ...
    @overload
    def delete_tasks_by_name_async(
        self,
        task_name: Iterable[str | bytes],
        rpc: RPC[list[Task]] | None = None,
    ) -> RPC[list[Task]]: ...
    def delete_tasks_by_name_async(self, task_name: str | bytes | Iterable[str | bytes], rpc: object = None) -> object:
        """As `delete_tasks_async`, of a name or an iterable of names.

        Raises:
            InvalidTaskNameError: a name that no task can have.
        """
        if isinstance(task_name, str | bytes):
            return self.delete_tasks_async(Task(name=task_name), cast("RPC[Task] | None", rpc))
        tasks = [Task(name=name) for name in task_name]
        return self.delete_tasks_async(tasks, cast("RPC[list[Task]] | None", rpc))

    @overload
    def delete_tasks_by_name(self, task_name: str | bytes) -> Task: ...  # type: ignore[overload-overlap]
    @overload
    def delete_tasks_by_name(self, task_name: Iterable[str | bytes]) -> list[Task]: ...
    def delete_tasks_by_name(self, task_name: str | bytes | Iterable[str | bytes]) -> Task | list[Task]:
        """Delete a task, or several, by name. See `delete_tasks_by_name_async`."""
        if is_replaced(self.delete_tasks_by_name_async, _DELETE_TASKS_BY_NAME_ASYNC):
            return self.delete_tasks_by_name_async(task_name).get_result()
        return self.delete_tasks_by_name_async(task_name, in_this_thread()).get_result()

    def purge(self) -> None:
        """Remove every task, leased and delayed ones too; those that run now go on.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        runtime.current().remover.purge(self.__name)

    def lease_tasks_async(
        self,
        lease_seconds: float,
        max_tasks: int,
        rpc: RPC[list[Task]] | None = None,
    ) -> RPC[list[Task]]:
        """Lease tasks of a pull queue whose eta is past, by eta and name, without waiting.

        Args:
            lease_seconds: 0 to 604,800; fractions are allowed.
            max_tasks: 1 to 1000.
            rpc: as from `create_rpc`.

        Returns:
            An RPC; its result is a list of Tasks, empty where there are none. A Task's eta is its lease's end,
            ``retry_count`` how often it was leased.

        Raises:
            InvalidLeaseTimeError, InvalidMaxTasksError, TypeError: of the argument concerned.
        """
        return self._lease(lease_seconds, max_tasks, False, None, rpc)

    def lease_tasks(self, lease_seconds: float, max_tasks: int, deadline: float = DEADLINE_S) -> list[Task]:
        """Lease tasks; ``deadline`` is in seconds. See `lease_tasks_async`.

        Raises:
            InvalidQueueModeError, UnknownQueueError: a push queue, or none.
            InvalidDeadlineError, DeadlineExceededError: the deadline is not positive, or over.
        """
        check_deadline(deadline)
        rpc: RPC[list[Task]] = create_rpc(deadline)
        self.lease_tasks_async(lease_seconds, max_tasks, rpc)
        return rpc.get_result()

    def lease_tasks_by_tag_async(
        self,
        lease_seconds: float,
        max_tasks: int,
        tag: str | bytes | None = None,
        rpc: RPC[list[Task]] | None = None,
    ) -> RPC[list[Task]]:
        """Lease tasks of one tag, without waiting; without a tag, of that of the task with the earliest eta.

        If that task has no tag, untagged tasks are leased. Otherwise as `lease_tasks_async`.
        """
        return self._lease(lease_seconds, max_tasks, True, tag, rpc)

    def lease_tasks_by_tag(
        self,
        lease_seconds: float,
        max_tasks: int,
        tag: str | bytes | None = None,
        deadline: float = DEADLINE_S,
    ) -> list[Task]:
        """Lease tasks of one tag. See `lease_tasks_by_tag_async` and `lease_tasks`."""
        check_deadline(deadline)
        rpc: RPC[list[Task]] = create_rpc(deadline)
        self.lease_tasks_by_tag_async(lease_seconds, max_tasks, tag, rpc)
        return rpc.get_result()

    def _lease(
        self,
        lease_seconds: float,
        max_tasks: int,
        by_tag: bool,
        tag: str | bytes | None,
        rpc: RPC[list[Task]] | None,
    ) -> RPC[list[Task]]:
        lease = leasing.lease_us(lease_seconds)
        leasing.check_max_tasks(max_tasks)
        text = task_arguments.tag_text(tag)
        request = {"queue_name": self.__name, "lease_seconds": lease_seconds, "max_tasks": max_tasks}
        if by_tag:
            request |= {"group_by_tag": True, "tag": text}

        def decide(copies: Sequence[Copy]) -> list[Task]:
            return Task._leased_from(copies)

        call: RPC[list[Task]] = given_or_new(rpc)
        return call._start(
            "QueryAndOwnTasks",
            request,
            lambda: leasing.call(self.__name, lease, max_tasks, by_tag=by_tag, tag=text),
            decide,
        )

    def modify_task_lease(self, task: Task, lease_seconds: float) -> None:
        """Let a lease end ``lease_seconds`` (0 to 604,800) from now, at once with 0; updates ``task.eta``.

        Raises:
            TaskLeaseExpiredError: the lease is over, or another one's; leasing the task again is all that helps.
            InvalidLeaseTimeError, InvalidQueueModeError, QueuePausedError, TombstonedTaskError, UnknownTaskError,
            UnknownQueueError: the time, the queue or the task does not allow it.
        """
        leasing.modify(self.__name, task, leasing.lease_us(lease_seconds))

    def fetch_statistics_async(self, rpc: RPC[QueueStatistics] | None = None) -> RPC[QueueStatistics]:
        """Ask for the queue's figures, without waiting. See `QueueStatistics`."""
        return QueueStatistics.fetch_async(self, rpc)

    def fetch_statistics(self, deadline: float = DEADLINE_S) -> QueueStatistics:
        """The queue's figures; ``deadline`` is in seconds.

        Raises:
            UnknownQueueError: there is no such queue.
            InvalidDeadlineError, DeadlineExceededError: the deadline is not positive, or over.
        """
        check_deadline(deadline)
        rpc: RPC[QueueStatistics] = create_rpc(deadline)
        self.fetch_statistics_async(rpc)
        return rpc.get_result()


_ADD_ASYNC = Queue.add_async
_DELETE_TASKS_ASYNC = Queue.delete_tasks_async
_DELETE_TASKS_BY_NAME_ASYNC = Queue.delete_tasks_by_name_async
Task._queue_type = Queue
Task._queue_add_async = (_ADD_ASYNC,)  # a function by itself would become a method of Task
QueueStatistics._queue_type = Queue
