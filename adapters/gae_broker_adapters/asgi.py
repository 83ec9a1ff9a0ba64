"""ASGI middleware: lets the dispatcher's requests pass as tasks, and nobody else's.

::

    from gae_broker_adapters.asgi import TaskQueueMiddleware

    app = TaskQueueMiddleware(app, deferred=True)        # or, with Starlette: Middleware(TaskQueueMiddleware, ...)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from gae_broker import deferred as deferred_library
from gae_broker.domain.headers import SIGNATURE, SOURCE_ADDRESS
from gae_broker.domain.origin import ORIGIN, Origin
from gae_broker.domain.signing import Refusal, Signature, normal
from gae_broker.domain.task_headers import TaskHeaders
from gae_broker.settings import Settings
from gae_broker_adapters.current_task import RUNNING, TASK, current_task
from gae_broker_adapters.guard import DEFERRED_PATH, FORWARDING, Asked, Guard, ReplayMemory, is_reserved
from gae_broker_adapters.spool import CHUNK, Spool, SpoolError

__all__ = ["TaskHeaders", "TaskQueueMiddleware", "asked_of", "current_task", "strip", "task_of"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

_SIGNATURE = SIGNATURE.lower().encode()


class TaskQueueMiddleware:
    """An ASGI application before which task requests are verified.

    - A signed request reaches the application as on App Engine: the client is 0.1.0.2, the body is what was signed, the
      task is in ``scope["gae_broker.task"]`` and `current_task`.
    - Any other loses its ``X-AppEngine-*`` headers, however they are written; websockets do too.
    - One with a signature that does not hold gets 403, as does any other for ``/_ah/queue/*`` and ``signed_paths``.
    - What the dispatcher calls in its own process, or a test through `gae_broker.testing`, needs no signature.

    Args:
        app: the application.
        settings: keys and the rest; what `Settings.load` finds by default.
        deferred: serve ``/_ah/queue/deferred``, where deferred calls are sent; each call runs in a thread.
        signed_paths: more paths that only the dispatcher may ask for: ``/tasks`` is that and all below it.
        stripped_prefix: what a proxy takes off each path before the request comes here.
        replays: where received signatures are remembered; in this process by default.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(
        self,
        app: AsgiApplication,
        *,
        settings: Settings | None = None,
        deferred: bool = False,
        signed_paths: Iterable[str] = (),
        stripped_prefix: str = "",
        replays: ReplayMemory | None = None,
    ) -> None:
        self.app = app
        self._deferred = deferred
        self._guard = Guard(settings, signed_paths=signed_paths, stripped_prefix=stripped_prefix, replays=replays)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(strip(scope) if "headers" in scope else scope, receive, send)
            return
        asked = asked_of(scope)
        verdict = self._guard.judge(asked)
        if verdict.refusal is not None:
            await _answer(send, *self._guard.refuse(asked, verdict.refusal))
        elif verdict.origin is not None:
            await self._run(trusted(scope, verdict.origin), receive, send)
        elif verdict.signature is None:
            await self.app(strip(scope), receive, send)
        else:
            await self._receive(asked, verdict.signature, scope, receive, send)

    async def _receive(self, asked: Asked, signature: Signature, scope: Scope, receive: Receive, send: Send) -> None:
        spool = Spool(signature.length)
        try:
            whole = await _read(receive, spool)
            if whole is None:
                return  # the client is gone, and with it whoever would read an answer
            refusal = self._guard.accept(signature, spool.length, spool.digest) if whole else Refusal.BODY
            if refusal is not None:
                await _answer(send, *self._guard.refuse(asked, refusal))
                return
            spool.rewind()
            await self._run(trusted(scope, Origin.SIGNED), _Replay(spool, receive), send)
        except SpoolError as exc:
            await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE, f"{exc}\n")
        finally:
            spool.close()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = RUNNING.set(scope[TASK])
        try:
            if self._deferred and scope["path"] == DEFERRED_PATH:
                await _run_deferred(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            RUNNING.reset(token)


class _Replay:
    """``receive`` of a request whose body was received before."""

    def __init__(self, spool: Spool, receive: Receive) -> None:
        self._left = spool.length
        self._file = spool.file
        self._is_done = False
        self._receive = receive

    async def __call__(self) -> Message:
        if self._is_done:
            return await self._receive()
        body = self._file.read(CHUNK)
        self._left -= len(body)
        self._is_done = self._left <= 0
        return {"type": "http.request", "body": body, "more_body": not self._is_done}


async def _run_deferred(scope: Scope, receive: Receive, send: Send) -> None:
    """Make a deferred call in a thread, through the WSGI application that does so."""
    spool = Spool()
    answered: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None, /) -> Callable[[bytes], object]:
        answered.append((status, headers))
        return lambda _: None

    try:
        if not await _read(receive, spool):
            return
        spool.rewind()
        environ = {
            "REQUEST_METHOD": scope["method"],
            "PATH_INFO": scope["path"],
            "REMOTE_ADDR": SOURCE_ADDRESS,
            "SERVER_SOFTWARE": "gae-broker",
            "CONTENT_LENGTH": str(spool.length),
            "wsgi.input": spool.file,
            **{_cgi(name): value.decode("latin-1") for name, value in scope["headers"] if is_reserved(_text(name))},
        }
        body = b"".join(await asyncio.to_thread(deferred_library.application, environ, start_response))
    finally:
        spool.close()
    status, headers = answered[0]
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": int(status[:3]), "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def asked_of(scope: Scope) -> Asked:
    """A request as `Guard` judges it."""
    headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
    path, root = _path(scope), str(scope.get("root_path", "")).rstrip("/").encode("utf-8", "surrogatepass")
    is_inside = bool(root) and path.startswith(root + b"/")
    origin = scope.get(ORIGIN)
    client = scope.get("client")
    return Asked(
        method=str(scope.get("method", "")),
        path=path if is_inside else root + path,
        inner_path=path[len(root) :] if is_inside else path,
        query=bytes(scope.get("query_string", b"")),
        headers=tuple(item for item in headers if is_reserved(_text(item[0])) and normal(item[0]) != _SIGNATURE),
        content_type=b",".join(value for name, value in headers if name.lower() == b"content-type"),
        signatures=tuple(_text(value) for name, value in headers if normal(name) == _SIGNATURE),
        remote=str(client[0]) if client else "",
        is_forwarded=any(_text(name).lower() in FORWARDING for name, _ in headers),
        origin=origin if isinstance(origin, Origin) else None,
    )


def strip(scope: Scope) -> Scope:
    """A copy of the scope without what only the dispatcher may say."""
    return {**scope, "headers": [item for item in scope["headers"] if not is_reserved(_text(item[0]))]}


def trusted(scope: Scope, origin: Origin) -> Scope:
    """A copy of a task's scope as the application is to see it."""
    task = task_of(scope)
    made = {**scope, ORIGIN: origin, TASK: task}
    if task is not None:
        made["client"] = (SOURCE_ADDRESS, 0)
    return made


def task_of(scope: Scope) -> TaskHeaders | None:
    """The task that a trusted request's headers name."""
    return TaskHeaders.of({_text(name).lower(): _text(value) for name, value in scope["headers"]})


def _path(scope: Scope) -> bytes:
    """The path in bytes: from ``raw_path`` where it is of the same path, as ``path`` has lost what is no UTF-8."""
    path = str(scope.get("path", ""))
    raw = scope.get("raw_path")
    if raw:
        found = unquote_to_bytes(bytes(raw).partition(b"?")[0])
        if found.decode("utf-8", "replace") == path:
            return found
    return path.encode("utf-8", "surrogatepass")


async def _read(receive: Receive, spool: Spool) -> bool | None:
    """Receive the body; false once it is too long, ``None`` where the client went away before its end."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if not spool.feed(bytes(message.get("body", b""))):
            return False
        if not message.get("more_body", False):
            return True


async def _answer(send: Send, status: HTTPStatus, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _text(value: bytes) -> str:
    return bytes(value).decode("latin-1")


def _cgi(name: bytes) -> str:
    return "HTTP_" + _text(name).upper().replace("-", "_")
