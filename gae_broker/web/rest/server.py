"""Serves the API and the probes on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

from gae_broker.domain.loopback import is_loopback
from gae_broker.engine import checking
from gae_broker.engine.runtime import Runtime
from gae_broker.errors import SettingsError
from gae_broker.ports import Role
from gae_broker.settings import Settings, flag, variable
from gae_broker.web import probes
from gae_broker.web.listening import address_of, listen
from gae_broker.web.readiness import Pulse, Readiness
from gae_broker.web.rest.application import RestApi

_MOST_CONNECTIONS = 512


class RestServer:
    """The REST API, from construction to `close`; probes are answered at once, methods from `attach` on.

    Args:
        settings: ``serve_bind`` says where, ``serve_tokens`` for whom, ``drain_timeout_s`` how long requests may go
            on after `stop`.

    Raises:
        SettingsError: it would be open to other machines, without a token.
        OSError: the port cannot be had.
    """

    def __init__(self, settings: Settings) -> None:
        _require_safe(settings)
        self._api = RestApi(settings.serve_tokens)
        self._pulse = Pulse()
        readiness = Readiness(lambda: checking.examine(settings, Role.WORKER))
        app: ASGIApp = self._api.application(probes.routes(self._pulse, readiness), self._beating)
        self._sock = listen(settings.serve_bind, flag("serve_bind"))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=max(round(settings.drain_timeout_s), 1),
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="gae-broker rest", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it serves: ``127.0.0.1:8090``."""
        return address_of(self._sock)

    def attach(self, runtime: Runtime) -> None:
        """Serve these queues from now on."""
        self._api.attach(runtime)

    def stop(self) -> None:
        """Take no more requests; those under way may finish. Idempotent."""
        self._server.should_exit = True

    async def ended(self) -> None:
        """Return when it has ended."""
        await asyncio.to_thread(self._thread.join)

    def close(self) -> None:
        """Stop, and return when it has ended. Idempotent."""
        self.stop()
        self._thread.join()
        self._api.close()
        self._sock.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._sock]))

    @contextlib.asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        beating = asyncio.create_task(self._pulse.beat())
        try:
            yield
        finally:
            beating.cancel()


def _require_safe(settings: Settings) -> None:
    host = settings.serve_bind.rpartition(":")[0].strip("[]")
    if not host:
        raise SettingsError(f"serve_bind: empty, expected HOST:PORT; give {flag('serve_bind')} 127.0.0.1:8090")
    if not settings.serve_tokens and not is_loopback(host):
        raise SettingsError(
            f"serve_bind: {settings.serve_bind} can be reached from other machines, and no token is set, so anybody "
            f"could take tasks; set {variable('serve_tokens')} (or ..._FILE), or serve on 127.0.0.1"
        )
