"""``/livez`` (or ``/healthz``) and ``/readyz`` for Kubernetes and its like, beside a dispatcher or in a server.

``/livez`` says that the process's loop turns; it depends on nothing else, or an outage of the broker would have
every dispatcher restarted. ``/readyz`` says what ``gae-broker check`` says. Neither tells a secret.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from gae_broker.engine import checking
from gae_broker.ports import Role
from gae_broker.settings import Settings, flag
from gae_broker.web.listening import address_of, listen
from gae_broker.web.readiness import Answer, Pulse, Readiness

_UNAVAILABLE = 503
_MOST_AT_A_TIME = 64
_CLOSE_S = 5.0


def application(pulse: Pulse, readiness: Readiness) -> Starlette:
    """The probes as an ASGI application."""
    return Starlette(routes=routes(pulse, readiness))


def routes(pulse: Pulse, readiness: Readiness) -> list[BaseRoute]:
    """The probes as routes of an application."""

    async def livez(_: Request) -> JSONResponse:
        alive = pulse.is_alive()
        body = {"ok": alive, "silent_s": round(pulse.silent_s(), 1)}
        return JSONResponse(body, 200 if alive else _UNAVAILABLE)

    def readyz(_: Request) -> JSONResponse:  # not async: Starlette calls it in a thread
        answer = readiness.answer()
        return JSONResponse(_body(answer), 200 if answer.ok else _UNAVAILABLE)

    return [Route("/livez", livez), Route("/healthz", livez), Route("/readyz", readyz)]


def _body(answer: Answer) -> dict[str, object]:
    if not answer.findings:
        return {"ok": False, "error": "the checks have not ended yet", "checks": []}
    checks = [finding.check for finding in answer.findings]
    return {
        "ok": answer.ok,
        "age_s": round(answer.age_s, 1),
        "checks": [{"name": check.name, "status": check.status.value, "text": check.text} for check in checks],
    }


class ProbeServer:
    """Serves the probes on a thread of its own, from construction to `close`.

    Args:
        settings: what to check; ``probe_bind`` says where to serve.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(self, settings: Settings) -> None:
        self.pulse = Pulse()
        readiness = Readiness(lambda: checking.examine(settings, Role.WORKER))
        self._sock = listen(settings.probe_bind, flag("probe_bind"))
        config = uvicorn.Config(
            application(self.pulse, readiness),
            log_config=None,
            access_log=False,
            lifespan="off",
            limit_concurrency=_MOST_AT_A_TIME,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="gae-broker probes", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it serves: ``127.0.0.1:8081``."""
        return address_of(self._sock)

    def close(self) -> None:
        """Serve no more. Idempotent."""
        self._server.should_exit = True
        self._thread.join(_CLOSE_S)
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._sock]))
