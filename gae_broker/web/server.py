"""Serves an application over HTTP on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, cast
from wsgiref.types import WSGIApplication

import uvicorn
from a2wsgi import WSGIMiddleware

from gae_broker.engine.targets.applications import Application, Interface
from gae_broker.engine.targets.asgi import AsgiApplication
from gae_broker.errors import ConfigurationError
from gae_broker.web.outside import Outside
from gae_broker.web.served import OnServersLoop

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket on loopback.

    Raises:
        OSError: the port is taken, or not ours to take.
    """
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as exc:
        raise OSError(
            exc.errno, f"port {port} cannot be had ({os.strerror(exc.errno or 0)}); choose another with --port"
        ) from exc


class WebServer:
    """One application on one socket.

    WSGI applications run in threads, so that a slow request holds up nothing and a handler may add tasks; ASGI
    applications run on this thread's loop.

    Args:
        found: the application.
        sock: where it listens.
        threads: how many WSGI requests run at a time.
        drain_s: how long requests may go on after `stop`.
    """

    def __init__(self, found: Application, sock: socket.socket, *, threads: int, drain_s: float) -> None:
        self._sock = sock
        self._bridge: OnServersLoop | None = None
        app = cast("AsgiApplication", found.app)
        if found.interface is Interface.ASGI:
            self._bridge = OnServersLoop(app)
        else:
            wsgi = WSGIMiddleware(cast("Any", cast("WSGIApplication", found.app)), workers=threads)
            app = cast("AsgiApplication", wsgi)
        config = uvicorn.Config(
            cast("Any", Outside(app)),
            log_config=None,
            access_log=False,
            lifespan="auto" if self._bridge is not None else "off",
            timeout_graceful_shutdown=max(round(drain_s), 1),
            server_header=False,
        )
        self._server = _Server(config, self._began)
        self._decided = threading.Event()  # whether it began, or will not
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gae-broker web", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._sock.getsockname()[1])

    def for_dispatcher(self, found: Application) -> Application:
        """The application as the dispatcher is to call it."""
        return found if self._bridge is None else Application(Interface.ASGI, self._bridge)

    async def start(self) -> None:
        """Return when requests are taken.

        Raises:
            ConfigurationError: the application says that it cannot start.
        """
        self._thread.start()
        await asyncio.to_thread(self._decided.wait)
        if not self._server.started:
            raise ConfigurationError("the application failed to start; its own log says why") from self._error

    def stop(self, *, force: bool = False) -> None:
        """Take no more requests and end when those that run are done, or at once. Idempotent."""
        self._server.should_exit = True
        self._server.force_exit = self._server.force_exit or force

    async def ended(self) -> None:
        """Return when it has ended."""
        await asyncio.to_thread(self._thread.join)
        self._sock.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._sock]))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - uvicorn exits where an application does not start
            self._error = exc
        finally:
            self._decided.set()

    def _began(self) -> None:
        if self._bridge is not None:
            self._bridge.served(asyncio.get_running_loop(), self._server.lifespan.state)
        self._decided.set()


class _Server(uvicorn.Server):
    """A server that says when it has begun, on its loop."""

    def __init__(self, config: uvicorn.Config, began: Callable[[], None]) -> None:
        super().__init__(config)
        self._began = began

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        if self.started:
            self._began()
