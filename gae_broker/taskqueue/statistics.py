"""QueueStatistics: how queues are doing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol, TypeVar, cast, overload

from gae_broker.domain.task_arguments import shown
from gae_broker.engine import runtime
from gae_broker.engine.statistics import QueueFigures
from gae_broker.taskqueue.calls import check_deadline, create_rpc, given_or_new
from gae_broker.taskqueue.rpc import RPC

DEADLINE_S = 10


class NamedQueue(Protocol):
    """A Queue, as far as statistics need it."""

    @property
    def name(self) -> str:
        """The queue's name."""


Q = TypeVar("Q")


class QueueType(Protocol):
    """Opens a queue by its name."""

    def __call__(self, name: str | bytes) -> NamedQueue:
        """The queue."""


class QueueStatistics:
    """One queue's figures.

    Attributes:
        queue: the Queue.
        tasks: how many tasks it holds, leased, delayed and running ones too.
        oldest_eta_usec: the smallest eta, in microseconds since the epoch, which may be in the future; ``None``
            where there is no task, or it is not known.
        executed_last_minute: how many attempts were finished in the last 60 seconds.
        in_flight: how many attempts are under way (push queues).
        enforced_rate: how many tasks a second may start now (push queues).
    """

    _ATTRS: ClassVar = ["queue", "tasks", "oldest_eta_usec", "executed_last_minute", "in_flight", "enforced_rate"]
    _queue_type: ClassVar[QueueType]
    """`Queue`, which sets itself here: it fetches statistics, so this module can only come first."""

    def __init__(
        self,
        queue: NamedQueue,
        tasks: int,
        oldest_eta_usec: int | None = None,
        executed_last_minute: int | None = None,
        in_flight: int | None = None,
        enforced_rate: float | None = None,
    ) -> None:
        self.queue = queue
        self.tasks = tasks
        self.oldest_eta_usec = oldest_eta_usec
        self.executed_last_minute = executed_last_minute
        self.in_flight = in_flight
        self.enforced_rate = enforced_rate

    __hash__ = None  # type: ignore[assignment]  # attributes can be changed; App Engine's is unhashable too

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QueueStatistics):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._ATTRS)

    def __repr__(self) -> str:
        return f"QueueStatistics({', '.join(f'{name}={getattr(self, name)!r}' for name in self._ATTRS)})"

    @overload
    @classmethod
    def fetch_async(  # type: ignore[overload-overlap]  # a str is an iterable of str
        cls,
        queue_or_queues: str | NamedQueue,
        rpc: RPC[QueueStatistics] | None = None,
    ) -> RPC[QueueStatistics]: ...
    @overload
    @classmethod
    def fetch_async(
        cls,
        queue_or_queues: Iterable[str] | Iterable[NamedQueue],
        rpc: RPC[list[QueueStatistics]] | None = None,
    ) -> RPC[list[QueueStatistics]]: ...
    @classmethod
    def fetch_async(cls, queue_or_queues: object, rpc: object = None) -> object:
        """Ask for the figures of one queue, or of several, without waiting.

        Args:
            queue_or_queues: a Queue or a name, or an iterable of Queues or of names.
            rpc: as from `create_rpc`.

        Returns:
            An RPC; its result is one object, or a list of them in the order asked for.

        Raises:
            InvalidQueueNameError: a name that no queue can have.
            TypeError: Queues and names together, or something else.
        """
        queues, multiple = cls._queues(queue_or_queues)
        names = [queue.name for queue in queues]

        def decide(figures: list[QueueFigures]) -> QueueStatistics | list[QueueStatistics]:
            found = [cls._of(queue, figure) for queue, figure in zip(queues, figures, strict=True)]
            return found if multiple else found[0]

        call: RPC[QueueStatistics | list[QueueStatistics]] = given_or_new(rpc)
        return call._start("FetchQueueStats", {"queue_name": names}, lambda: _call(names), decide)

    @overload
    @classmethod
    def fetch(  # type: ignore[overload-overlap]
        cls,
        queue_or_queues: str | NamedQueue,
        deadline: float = DEADLINE_S,
    ) -> QueueStatistics: ...
    @overload
    @classmethod
    def fetch(
        cls,
        queue_or_queues: Iterable[str] | Iterable[NamedQueue],
        deadline: float = DEADLINE_S,
    ) -> list[QueueStatistics]: ...
    @classmethod
    def fetch(cls, queue_or_queues: object, deadline: float = DEADLINE_S) -> object:
        """The figures of one queue, or of several; ``[]`` for what is falsy. See `fetch_async`.

        Raises:
            InvalidDeadlineError, DeadlineExceededError: ``deadline``, in seconds, is not positive, or over.
            UnknownQueueError: there is no such queue.
        """
        check_deadline(deadline)
        if not queue_or_queues:
            return []
        rpc: RPC[object] = create_rpc(deadline)
        cls.fetch_async(queue_or_queues, rpc)  # type: ignore[call-overload]  # checked there
        return rpc.get_result()

    @classmethod
    def _queues(cls, given: object) -> tuple[list[NamedQueue], bool]:
        multiple = isinstance(given, Iterable) and not isinstance(given, str | bytes)
        elements: list[object] = list(cast("Iterable[object]", given)) if multiple else [given]
        named = [element for element in elements if isinstance(element, str | bytes)]
        if not named:
            for element in elements:
                if not hasattr(element, "name"):
                    raise TypeError(f"queue_or_queues must be Queues or names of queues, not {shown(element)}")
            return cast("list[NamedQueue]", elements), multiple
        if len(named) < len(elements):
            raise TypeError("queue_or_queues must contain either strings or queue instances, not both")
        return [cls._queue_type(name) for name in named], multiple

    @classmethod
    def _of(cls, queue: NamedQueue, figures: QueueFigures) -> QueueStatistics:
        return cls(
            queue,
            figures.tasks,
            figures.oldest_eta_us,
            figures.executed_last_minute,
            figures.in_flight,
            figures.enforced_rate,
        )


def _call(names: Sequence[str]) -> list[QueueFigures]:
    statistician = runtime.current().statistician
    return [statistician.fetch(name) for name in names]
