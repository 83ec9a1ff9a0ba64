"""A dispatcher on an embedded broker in memory, and a way to wait for what it does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gae_broker.domain.queue import Queue, QueueFile
from gae_broker.domain.task import Content
from gae_broker.engine.dispatcher import AttemptEvent, Dispatcher
from gae_broker.engine.enqueue import NewTask
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings

GUARD_S = 30.0
"""No test needs nearly so long; it only keeps a broken one from hanging."""

FAST = {"rate_per_s": 10_000.0, "bucket_size": 1000}

CARRIER: dict[str, str] = {}
"""Settings of another broker and ledger than the embedded ones, for a whole test."""


class Watcher:
    """An observer that can be waited on."""

    def __init__(self) -> None:
        self.events: list[AttemptEvent] = []
        self.begin()

    def begin(self) -> None:
        """Be ready for another loop; what was seen is kept."""
        self._changed = asyncio.Condition()

    def attempted(self, event: AttemptEvent) -> None:
        self.events.append(event)
        self._notifying = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def attempts(self, count: int, **wanted: object) -> list[AttemptEvent]:
        """Wait until there were so many attempts with these attributes; those."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.those(**wanted)) >= count)
        return self.those(**wanted)

    def those(self, **wanted: object) -> list[AttemptEvent]:
        return [e for e in self.events if all(getattr(e, name) == value for name, value in wanted.items())]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody announces."""
    while not condition():  # noqa: ASYNC110 - the broker and the ledger have no event for a test to wait on
        await asyncio.sleep(0.01)


class Ground:
    """A runtime with these queues, and shorthand."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.watcher = Watcher()

    def add(self, *names: str, queue: str = "default", eta_us: int | None = None, **content: Any) -> None:
        """Add push tasks; a name without letters of its own may be empty."""
        eta_us = self.runtime.clock.now_us() if eta_us is None else eta_us
        content.setdefault("url", "/work")
        tasks = [NewTask(Content(name, **content), eta_us) for name in names]
        assert [added.error for added in self.runtime.enqueuer.add(queue, tasks)] == [None] * len(names)

    def dispatcher(self, **options: Any) -> Dispatcher:
        return Dispatcher(self.runtime, observer=self.watcher, **options)

    def serve(self, scenario: Callable[[Dispatcher], Awaitable[None]], *, stop: bool = True, **options: Any) -> None:
        """Run a dispatcher while the scenario lasts, then ``stop`` it (or leave that to the scenario), to its end."""

        self.watcher.begin()

        async def both() -> None:
            async with asyncio.timeout(GUARD_S):
                dispatcher = self.dispatcher(**options)
                running = asyncio.create_task(dispatcher.run())
                acting = asyncio.ensure_future(scenario(dispatcher))
                await asyncio.wait({running, acting}, return_when=asyncio.FIRST_COMPLETED)
                if stop and acting.done():
                    dispatcher.stop()
                await running
                await acting

        asyncio.run(both())

    def comes_to_hold(self, count: int, queue: str = "default") -> bool:
        """Whether the queue's figures say so before long: an ack is on its way when its attempt is told of."""
        deadline_s = time.monotonic() + GUARD_S
        while (tasks := self.runtime.statistician.fetch(queue).tasks) != count and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return tasks == count


@contextmanager
def ground(
    *queues: Queue,
    targets: Mapping[str, str] | None = None,
    path: Path | None = None,
    **settings: Any,
) -> Iterator[Ground]:
    """A runtime in memory, or in a file of this directory; on `CARRIER` where a test's module sets it."""
    where = CARRIER or {"url": "embedded://" if path is None else f"embedded:///{path}/queues.db"}
    made = Settings(**where, targets=targets or {}, **settings)
    file = (
        QueueFile({queue.name: queue for queue in (Queue("default", **FAST), *queues)})
        if "queue_yaml" not in settings
        else None
    )
    with Runtime.open(made, queues=file) as runtime:
        yield Ground(runtime)


class Application:
    """A WSGI application whose handlers are a test's functions; importable as ``name:app`` while it is installed."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], str] = lambda _: "200 OK"
        self._lock = threading.Lock()

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            self.requests.append(environ)
        start_response(self.answer(environ), [])
        return [b"done"]

    @property
    def names(self) -> list[str]:
        return [environ["HTTP_X_APPENGINE_TASKNAME"] for environ in self.requests]


def as_module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module
