"""Runs an application's requests in this process: in the dispatcher, or in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, cast
from wsgiref.types import WSGIApplication

from gae_broker.engine.targets.applications import Interface, load
from gae_broker.engine.targets.asgi import AsgiApplication
from gae_broker.engine.targets.asgi_host import AsgiHost
from gae_broker.engine.targets.crew import Crew
from gae_broker.engine.targets.hand import Numbered, Result
from gae_broker.ports import Clock

_TASKS_A_THREAD = 10
"""Coroutines that an ASGI application may run where a WSGI application would have one thread."""


class Host(Protocol):
    """Results go to the callable that it was made with, from any thread."""

    @property
    def size(self) -> int:
        """Attempts that run at the same time."""

    @property
    def lost(self) -> int:
        """Of these, places taken by attempts that were given up and do not end."""

    def open(self) -> None:
        """Start the application; `ConfigurationError` where it does not start."""

    def submit(self, jobs: Iterable[Numbered]) -> None:
        """Run requests, in order, as places become free."""

    def sweep(self) -> None:
        """Fail what is overdue, give back what has waited for a second; to be called a few times a second."""

    def withdraw(self) -> None:
        """Give back everything that has not begun."""

    def close(self) -> None:
        """Stop the application; does not wait for what does not end."""


def make_host(spec: str, threads: int, clock: Clock, post: Callable[[Result], None], *, multiprocess: bool) -> Host:
    """Import an application and make its host.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    application = load(spec)
    if application.interface is Interface.ASGI:
        return AsgiHost(cast("AsgiApplication", application.app), threads * _TASKS_A_THREAD, clock, post)
    return Crew(cast("WSGIApplication", application.app), threads, clock, post, multiprocess=multiprocess)
