"""The development server: serves an application and runs its tasks, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Callable

from gae_broker.domain.queue import QueueFile
from gae_broker.domain.setting_values import DEFAULT_TARGET, Processes
from gae_broker.engine.dispatcher import Dispatcher, Observer
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.targets.applications import Application
from gae_broker.settings import Settings
from gae_broker.web import served
from gae_broker.web.server import WebServer

THREADS = 10
"""Requests of a WSGI application at a time: from outside, and from its queues."""

_LOOK_S = 0.5


def settings_for(settings: Settings, target: str) -> Settings:
    """The settings of a development server whose tasks go to one target."""
    return dataclasses.replace(
        settings, targets={**settings.targets, DEFAULT_TARGET: target}, processes=Processes(1, 1)
    )


class Development:
    """One application, its web server where it is served here, and its dispatcher.

    Args:
        runtime: the queues; its settings name no default target yet.
        observer: told of each attempt.
        tell: takes news for the developer: a changed queue.yaml, and what is wrong with it.
        found: the application to serve; ``None`` where it runs elsewhere and ``target`` is its address.
        sock: where it is served.
        target: where tasks go if no application is served here.
    """

    def __init__(
        self,
        runtime: Runtime,
        observer: Observer,
        tell: Callable[[str], None],
        *,
        found: Application | None = None,
        sock: socket.socket | None = None,
        target: str = "",
    ) -> None:
        self._runtime = runtime
        self._tell = tell
        self._web: WebServer | None = None
        self._stopping = False
        if found is not None and sock is not None:
            drain_s = runtime.settings.drain_timeout_s
            self._web = WebServer(found, sock, threads=THREADS, drain_s=drain_s)
            target = served.serve(self._web.for_dispatcher(found))
        runtime.settings = settings_for(runtime.settings, target)
        self._dispatcher = Dispatcher(runtime, observer=observer, threads=THREADS)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is called, then drain.

        Args:
            ready: called when requests are taken.

        Raises:
            ConfigurationError: the application does not start.
        """
        if self._web is not None:
            await self._web.start()
        ready()
        watching = asyncio.create_task(self._watch())
        try:
            await self._dispatcher.run()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            if self._web is not None:
                self._web.stop()
                await self._web.ended()

    def stop(self) -> None:
        """Take no more requests and tasks, and end when those that run are done; a second time: end at once."""
        if self._web is not None:
            self._web.stop(force=self._stopping)
        self._stopping = True
        self._dispatcher.stop()

    async def _watch(self) -> None:
        """Tell when another queue.yaml is in force; the dispatcher reads it."""
        before = self._runtime.catalog.file
        while True:
            await asyncio.sleep(_LOOK_S)
            after = self._runtime.catalog.file
            if after is not before:
                for line in changes(before, after):
                    self._tell(line)
                before = after


def changes(before: QueueFile, after: QueueFile) -> list[str]:
    """What a new queue.yaml changes, one line each."""
    lines = [f"queue.yaml changed: {', '.join(after.queues)}"]
    for name in before.queues.keys() | after.queues.keys():
        if name not in after.queues:
            lines.append(f"queue '{name}' is gone; its tasks are kept")
        elif name not in before.queues:
            lines.append(f"queue '{name}' is new")
    return [lines[0], *sorted(lines[1:]), *(f"warning: {text}" for text in after.warnings)]
