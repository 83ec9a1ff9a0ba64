"""WSGI middleware: lets the dispatcher's requests pass as tasks, and nobody else's.

::

    from gae_broker_adapters.wsgi import TaskQueueMiddleware

    app = TaskQueueMiddleware(app, deferred=True)
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gae_broker import deferred as deferred_library
from gae_broker.domain.headers import SIGNATURE, SOURCE_ADDRESS
from gae_broker.domain.origin import ORIGIN, Origin
from gae_broker.domain.signing import Refusal, Signature
from gae_broker.domain.task_headers import TaskHeaders
from gae_broker.settings import Settings
from gae_broker_adapters.current_task import RUNNING, TASK, current_task
from gae_broker_adapters.guard import DEFERRED_PATH, FORWARDING, Asked, Guard, ReplayMemory, is_reserved
from gae_broker_adapters.spool import CHUNK, Spool, SpoolError

__all__ = ["TaskHeaders", "TaskQueueMiddleware", "asked_of", "current_task", "strip", "task_of"]

_SIGNATURE = "HTTP_" + SIGNATURE.upper().replace("-", "_")
_FORWARDING = frozenset("HTTP_" + name.upper().replace("-", "_") for name in FORWARDING)
_T = TypeVar("_T")


class TaskQueueMiddleware:
    """A WSGI application before which task requests are verified.

    - A signed request reaches the application as on App Engine: ``REMOTE_ADDR`` is 0.1.0.2, the body is what was
      signed, the task is in ``environ["gae_broker.task"]`` and `current_task`.
    - Any other loses its ``X-AppEngine-*`` headers, however they are written.
    - One with a signature that does not hold gets 403, as does any other for ``/_ah/queue/*`` and ``signed_paths``.
    - What the dispatcher calls in its own process, or a test through `gae_broker.testing`, needs no signature.

    Args:
        app: the application.
        settings: keys and the rest; what `Settings.load` finds by default.
        deferred: serve ``/_ah/queue/deferred``, where deferred calls are sent.
        signed_paths: more paths that only the dispatcher may ask for: ``/tasks`` is that and all below it.
        stripped_prefix: what a proxy takes off each path before the request comes here.
        replays: where received signatures are remembered; in this process by default.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(
        self,
        app: WSGIApplication,
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

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        asked = asked_of(environ)
        verdict = self._guard.judge(asked)
        if verdict.refusal is not None:
            return _answer(start_response, *self._guard.refuse(asked, verdict.refusal))
        if verdict.origin is not None:
            return self._run(trusted(environ, verdict.origin), start_response, None)
        if verdict.signature is None:
            return self.app(strip(environ), start_response)
        return self._receive(asked, verdict.signature, environ, start_response)

    def _receive(
        self, asked: Asked, signature: Signature, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        spool = Spool(signature.length)
        try:
            refusal = Refusal.BODY if not _read(environ, spool) else None
            refusal = refusal or self._guard.accept(signature, spool.length, spool.digest)
        except SpoolError as exc:
            spool.close()
            return _answer(start_response, HTTPStatus.SERVICE_UNAVAILABLE, f"{exc}\n")
        if refusal is not None:
            spool.close()
            return _answer(start_response, *self._guard.refuse(asked, refusal))
        spool.rewind()
        environ = trusted(environ, Origin.SIGNED)
        environ["wsgi.input"] = spool.file
        environ["CONTENT_LENGTH"] = str(signature.length)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return self._run(environ, start_response, spool)

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse, spool: Spool | None) -> Iterable[bytes]:
        is_deferred = self._deferred and environ.get("PATH_INFO") == DEFERRED_PATH
        app: WSGIApplication = deferred_library.application if is_deferred else self.app
        context = contextvars.copy_context()
        context.run(RUNNING.set, environ.get(TASK))
        try:
            return _Running(context, context.run(app, environ, start_response), spool)
        except BaseException:
            if spool is not None:
                spool.close()
            raise


class _Running:
    """An application's answer, each piece of it made while its task is the current one."""

    def __init__(self, context: contextvars.Context, answer: Iterable[bytes], spool: Spool | None) -> None:
        self._context = context
        self._answer = answer
        self._spool = spool
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pieces is None:
            self._pieces = self._within(lambda: iter(self._answer))
        return self._within(self._pieces.__next__)

    def close(self) -> None:
        """End it: WSGI servers call this in any case."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                self._within(close)
        finally:
            if self._spool is not None:
                self._spool.close()

    def _within(self, call: Callable[[], _T]) -> _T:
        return self._context.run(call)


def asked_of(environ: WSGIEnvironment) -> Asked:
    """A request as `Guard` judges it."""
    script, path = _bytes(environ.get("SCRIPT_NAME", "")), _bytes(environ.get("PATH_INFO", ""))
    headers = [
        (key[5:].encode("utf-8", "replace"), _bytes(value))
        for key, value in environ.items()
        if key.startswith("HTTP_X") and is_reserved(key[5:]) and key != _SIGNATURE
    ]
    origin = environ.get(ORIGIN)
    signature = environ.get(_SIGNATURE)
    return Asked(
        method=str(environ.get("REQUEST_METHOD", "")),
        path=script + path,
        inner_path=path,
        query=_bytes(environ.get("QUERY_STRING", "")),
        headers=tuple(headers),
        content_type=_bytes(environ.get("CONTENT_TYPE", "")),
        signatures=() if signature is None else (str(signature),),
        remote=str(environ.get("REMOTE_ADDR", "")),
        is_forwarded=not _FORWARDING.isdisjoint(environ),
        origin=origin if isinstance(origin, Origin) else None,
    )


def strip(environ: WSGIEnvironment) -> WSGIEnvironment:
    """A copy of the environment without what only the dispatcher may say."""
    return {key: value for key, value in environ.items() if not (key.startswith("HTTP_") and is_reserved(key[5:]))}


def trusted(environ: WSGIEnvironment, origin: Origin) -> WSGIEnvironment:
    """A copy of a task's environment as the application is to see it."""
    task = task_of(environ)
    made = {**environ, ORIGIN: origin, TASK: task}
    if task is not None:
        made["REMOTE_ADDR"] = SOURCE_ADDRESS
    return made


def task_of(environ: WSGIEnvironment) -> TaskHeaders | None:
    """The task that a trusted request's headers name."""
    return TaskHeaders.of(
        {
            key[5:].lower().replace("_", "-"): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_X_APPENGINE_")
        }
    )


def _read(environ: WSGIEnvironment, spool: Spool) -> bool:
    """Receive the body; false where it does not come as it was announced."""
    stream: Any = environ.get("wsgi.input")
    announced = str(environ.get("CONTENT_LENGTH") or "")
    if announced and not (announced.isascii() and announced.isdigit()):
        return False
    # Without a length there is no body, unless the server says that its stream ends where the body does.
    left = int(announced[:18]) if announced else None if environ.get("wsgi.input_terminated") else 0
    while left is None or left > 0:
        try:
            chunk = stream.read(CHUNK if left is None else min(CHUNK, left))
        except Exception:  # noqa: BLE001 - each server has its own for a client that is gone or lies about its length
            return False
        if not chunk:
            break
        left = left if left is None else left - len(chunk)
        if not spool.feed(chunk):
            return False
    return not left


def _answer(start_response: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
    body = text.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _bytes(text: object) -> bytes:
    """Text as WSGI has it, each character a byte."""
    try:
        return str(text).encode("latin-1")
    except UnicodeEncodeError:
        return str(text).encode("utf-8", "surrogatepass")
