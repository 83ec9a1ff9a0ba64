"""Requests to an ASGI application in this process, and its lifespan (ASGI 3.0)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import SOURCE_ADDRESS, HttpRequest
from gae_broker.domain.origin import ORIGIN, Origin
from gae_broker.domain.signing import wire_url
from gae_broker.engine.targets.failures import READ_LIMIT, OnError, answered, log_error, overdue, raised, unanswered
from gae_broker.engine.targets.wsgi import DEFAULT_HOST
from gae_broker.errors import ConfigurationError
from gae_broker.ports import Clock

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

_VERSION = {"version": "3.0", "spec_version": "2.3"}
_SHUTDOWN_S = 10.0

_log = logging.getLogger("gae_broker.dispatch")


async def answer(
    app: AsgiApplication,
    request: HttpRequest,
    clock: Clock,
    state: dict[str, Any] | None = None,
    on_error: OnError = log_error,
) -> Outcome:
    """Make one request; its deadline cancels the application, and what the application raises is status 500."""
    started_us = clock.now_us()
    exchange = _Exchange(request)
    try:
        async with asyncio.timeout(request.deadline_us / 1_000_000) as limit:
            await app(scope(request, state), exchange.receive, exchange.send)
        return answered(exchange.status(), started_us, clock, exchange.body())
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever a handler raises is a failed attempt
        if isinstance(exc, TimeoutError) and limit.expired():
            return unanswered(overdue(request.deadline_us), started_us, clock)
        on_error(request, exc)
        return raised(exc, started_us, clock)


def call_asgi(
    app: AsgiApplication,
    request: HttpRequest,
    clock: Clock,
    on_error: OnError = log_error,
) -> Outcome:
    """Make one request on a loop of its own and wait for its end; for tests and single calls, without lifespan."""
    return asyncio.run(answer(app, request, clock, None, on_error))


def scope(request: HttpRequest, state: dict[str, Any] | None) -> Scope:
    """The request as an ASGI connection scope."""
    path, _, query = wire_url(request.url).partition("?")
    headers = [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in request.headers]
    named = next((value for name, value in request.headers if name.lower() == "host"), None)
    if named is None:
        headers.append((b"host", DEFAULT_HOST.encode()))
    host, _, port = (named or DEFAULT_HOST).partition(":")
    made: Scope = {
        "type": "http",
        "asgi": _VERSION,
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("utf-8"),
        "query_string": query.encode("utf-8"),
        "root_path": "",
        "headers": headers,
        "client": (SOURCE_ADDRESS, 0),
        ORIGIN: Origin.IN_PROCESS,
        "server": (host, int(port) if port.isdigit() else 80),
    }
    if state is not None:
        made["state"] = dict(state)
    return made


class _Exchange:
    """The two channels of one request."""

    def __init__(self, request: HttpRequest) -> None:
        self._request: HttpRequest | None = request
        self._status: int | None = None
        self._complete = asyncio.Event()
        self._chunks: list[bytes] = []
        self._length = 0

    async def receive(self) -> Message:
        """The whole body once; then nothing until the answer is complete, then the end."""
        if self._request is not None:
            body, self._request = self._request.body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._complete.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; of its body no more is kept than `READ_LIMIT`."""
        kind = message["type"]
        if kind == "http.response.start" and self._status is None:
            self._status = int(message["status"])
        elif kind == "http.response.body" and self._status is not None and not self._complete.is_set():
            chunk = bytes(message.get("body", b""))
            if self._length < READ_LIMIT:
                self._chunks.append(chunk[: READ_LIMIT - self._length])
            self._length += len(chunk)
            if not message.get("more_body", False):
                self._complete.set()
        else:
            raise RuntimeError(f"the application sent {kind!r} out of turn")

    def status(self) -> int:
        """The status; raises where the answer is not complete."""
        if self._status is None or not self._complete.is_set():
            raise RuntimeError("the application ended without a complete answer")
        return self._status

    def body(self) -> bytes:
        """The body's beginning."""
        return b"".join(self._chunks)


class Lifespan:
    """Tells an application that the process starts and ends; one that knows no lifespan is served without.

    Attributes:
        state: what the application left for its requests.
    """

    def __init__(self, app: AsgiApplication) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application.

        Raises:
            ConfigurationError: it says that it cannot start.
        """
        self._task = asyncio.create_task(self._run())
        message = await self._exchange("lifespan.startup")
        if message["type"] == "lifespan.startup.failed":
            raise ConfigurationError(f"the application failed to start: {message.get('message', '')}")

    async def stop(self) -> None:
        """Stop the application; one that takes longer than 10 s is left alone."""
        if self._task is None or self._task.done():
            return
        try:
            async with asyncio.timeout(_SHUTDOWN_S):
                await self._exchange("lifespan.shutdown")
        except TimeoutError:
            _log.warning("the application did not end within %g s", _SHUTDOWN_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _exchange(self, event: str) -> Message:
        await self._to_app.put({"type": event})
        return await self._from_app.get()

    async def _run(self) -> None:
        made: Scope = {"type": "lifespan", "asgi": _VERSION, "state": self.state}
        try:
            await self._app(made, self._to_app.get, self._from_app.put)
        except Exception:  # noqa: BLE001 - ASGI: an application without lifespan raises, and is served all the same
            _log.debug("the application has no lifespan", exc_info=True)
        await self._from_app.put({"type": "lifespan.ended"})
