"""What the engine's tests share: a clock that stands still, queues of every kind, and shorthand for the use cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gae_broker import registry
from gae_broker.domain.queue import Mode, Queue, QueueFile
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import PULL, Content, Copy
from gae_broker.engine.enqueue import Added, NewTask
from gae_broker.engine.runtime import Runtime
from gae_broker.ports import Broker, Ledger
from gae_broker.settings import Settings

S = 1_000_000
START_US = 1_700_000_000 * S
SETTINGS = Settings(url="embedded://", queue_yaml="/nonexistent/queue.yaml", publish_deadline_s=5.0)


class StillClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        return self.us

    def advance(self, seconds: float) -> int:
        self.us += round(seconds * S)
        return self.us


class CountingNamer:
    """Names in the order of their choice, so that a failure reads the same every time."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._tasks = self._copies = 0

    def task_name(self) -> str:
        self._tasks += 1
        return f"{self._prefix}auto-{self._tasks:04}"

    def copy_id(self) -> str:
        self._copies += 1
        return f"{self._prefix}copy-{self._copies:04}"


def queue_file(**options: object) -> QueueFile:
    queues = (
        Queue("default"),
        Queue("push", rate_per_s=3.0),
        Queue("pull", mode=Mode.PULL),
        Queue("twice", mode=Mode.PULL, retry=RetryParameters(limit=2)),
        Queue("never", mode=Mode.PULL, retry=RetryParameters(limit=0)),
        Queue("aged", mode=Mode.PULL, retry=RetryParameters(limit=1, age_limit_s=1)),
    )
    return QueueFile(queues={queue.name: queue for queue in queues}, **options)  # type: ignore[arg-type]


class World:
    """One runtime, its clock, and the use cases in short."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: StillClock,
        prefix: str = "",
        queues: QueueFile | None = None,
    ) -> None:
        self.clock = clock
        self.broker = broker
        self.ledger = ledger
        self.runtime = Runtime(
            SETTINGS, broker, ledger, clock=clock, namer=CountingNamer(prefix), queues=queues or queue_file()
        )

    def add(self, *tasks: NewTask, queue: str = "pull", transactional: bool = False) -> list[Added]:
        return self.runtime.enqueuer.add(queue, tasks, transactional=transactional)

    def put(self, name: str = "", *, eta_s: float = 0.0, tag: str | None = None, queue: str = "pull") -> str:
        """Add one pull task, due ``eta_s`` seconds from now; its name."""
        (added,) = self.add(pull_task(name, eta_us=self.clock.us + round(eta_s * S), tag=tag), queue=queue)
        assert added.error is None, added.error
        assert added.name is not None
        return added.name

    def put_error(self, name: str, **where: str) -> None:
        """Add one pull task and raise why that failed."""
        (added,) = self.add(pull_task(name, eta_us=self.clock.us), **where)
        assert added.error is not None
        raise added.error

    def lease(self, count: int = 100, seconds: float = 60.0, queue: str = "pull") -> list[Copy]:
        return self.runtime.leaser.lease(queue, round(seconds * S), count)

    def lease_tag(self, tag: str | None, count: int = 100, seconds: float = 60.0, queue: str = "pull") -> list[Copy]:
        return self.runtime.leaser.lease(queue, round(seconds * S), count, by_tag=True, tag=tag)

    def modify(self, copy: Copy, seconds: float) -> int:
        return self.runtime.leaser.modify(copy.queue, copy.name, copy.eta_us, round(seconds * S), copy.content)

    def delete(self, *names: str, queue: str = "pull") -> list[bool]:
        return self.runtime.remover.delete(queue, names)

    def stored(self, queue: str = "pull") -> int:
        """How many copies the broker stores."""
        return self.runtime.statistician.fetch(queue).tasks


def pull_task(name: str = "", *, eta_us: int = START_US, tag: str | None = None, payload: bytes = b"p") -> NewTask:
    return NewTask(Content(name, method=PULL, payload=payload, tag=tag), eta_us)


def push_task(name: str = "", *, eta_us: int = START_US, payload: bytes = b"", url: str = "/work") -> NewTask:
    return NewTask(Content(name, url=url, payload=payload), eta_us)


def names(copies: Sequence[Copy]) -> list[str]:
    return [copy.name for copy in copies]


@contextmanager
def adapters(clock: StillClock, directory: Path | None = None) -> Iterator[tuple[Broker, Ledger]]:
    """The embedded broker and its ledger, in memory or in files."""
    url = "embedded://" if directory is None else f"embedded:///{directory}/broker.db"
    broker = registry.open_broker(url, clock=clock)
    try:
        ledger = registry.open_ledger("sqlite://", clock=clock)
        try:
            ledger.migrate()
            yield broker, ledger
        finally:
            ledger.close()
    finally:
        broker.close()
