"""The applications that a test's tasks run into."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from typing import cast
from wsgiref.types import WSGIApplication

from gae_broker import deferred
from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.asgi import AsgiApplication
from gae_broker.engine.targets.failures import OnError
from gae_broker.engine.targets.inprocess import Application, Interface, adopt, call_asgi, call_wsgi, load
from gae_broker.errors import ConfigurationError
from gae_broker.ports import Clock

DEFERRED_URL = "/_ah/queue/deferred"


class InProcess:
    """Calls applications in this process, in the calling thread.

    An ASGI application is called on a loop of its own, without lifespan; where the calling thread runs a loop
    already, in a thread beside it.

    Args:
        clock: when attempts begin and end.
        app: a WSGI or ASGI application, or ``module:app``; ``None``: deferred calls run, other tasks are an error.
        targets: applications for tasks that name these targets; others run into ``app``.

    Raises:
        ConfigurationError: one of them is no application.
    """

    def __init__(self, clock: Clock, app: object, targets: Mapping[str, object]) -> None:
        self._clock = clock
        self._app = None if app is None else _find(app)
        self._targets = {name: _find(target) for name, target in targets.items()}

    def call(self, request: HttpRequest) -> tuple[Outcome, Exception | None]:
        """Make one request; its outcome, and what the application raised.

        Raises:
            ConfigurationError: there is no application for it.
        """
        app = self._choose(request)
        raised: list[BaseException] = []

        def remember(_: HttpRequest, error: BaseException) -> None:
            raised.append(error)

        if app.interface is Interface.WSGI:
            outcome = call_wsgi(cast("WSGIApplication", app.app), request, self._clock, remember)
        else:
            outcome = _beside_loop(cast("AsgiApplication", app.app), request, self._clock, remember)
        exceptions = [error for error in raised if isinstance(error, Exception)]
        return outcome, exceptions[0] if exceptions else None

    def _choose(self, request: HttpRequest) -> Application:
        named = self._targets.get(request.target) if request.target else None
        app = named or self._app
        if app is not None:
            return app
        if request.url.partition("?")[0] == DEFERRED_URL:
            return Application(Interface.WSGI, deferred.application)
        raise ConfigurationError(
            f"a task for {request.method} {request.url} is due, but there is no application to run it into: "
            "override the fixture gae_app, or pass app= to init_taskqueue_stub or TaskBench",
        )


def _find(app: object) -> Application:
    return load(app) if isinstance(app, str) else adopt(app)


def _beside_loop(app: AsgiApplication, request: HttpRequest, clock: Clock, on_error: OnError) -> Outcome:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call_asgi(app, request, clock, on_error)
    return _in_thread(lambda: call_asgi(app, request, clock, on_error))


def _in_thread(call: Callable[[], Outcome]) -> Outcome:
    """Call in another thread, with this one's context variables, and wait."""
    outcomes: list[Outcome] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: outcomes.append(context.run(call)), name="gae-broker-asgi")
    thread.start()
    thread.join()
    return outcomes[0]
