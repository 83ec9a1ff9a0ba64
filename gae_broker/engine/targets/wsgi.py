"""One request to a WSGI application in this process (PEP 3333)."""

from __future__ import annotations

import functools
import io
import sys
from types import TracebackType
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication

from gae_broker import __version__
from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import SOURCE_ADDRESS, HttpRequest
from gae_broker.domain.origin import ORIGIN, Origin
from gae_broker.domain.signing import wire_url
from gae_broker.engine.targets.failures import READ_LIMIT, OnError, answered, log_error, raised
from gae_broker.ports import Clock

SERVER_SOFTWARE = f"gae-broker/{__version__}"
DEFAULT_HOST = "localhost"

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def call_wsgi(
    app: WSGIApplication,
    request: HttpRequest,
    clock: Clock,
    on_error: OnError = log_error,
    *,
    multiprocess: bool = False,
) -> Outcome:
    """Make one request in this thread and wait for its end; the request's deadline is not enforced here.

    What the application raises counts as status 500 and is told to ``on_error``: `SystemExit` too, since a
    handler that exits must not take its worker along.
    """
    started_us = clock.now_us()
    response = _Response()
    try:
        result = app(environ(request, multiprocess=multiprocess), response.start)
        try:
            for chunk in result:
                response.write(chunk)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return answered(response.status(), started_us, clock, response.body())
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever a handler raises is a failed attempt
        on_error(request, exc)
        return raised(exc, started_us, clock)


def environ(request: HttpRequest, *, multiprocess: bool) -> dict[str, Any]:
    """The request as a WSGI environment; what comes from nowhere but the queue says so by its REMOTE_ADDR."""
    path, _, query = wire_url(request.url).partition("?")
    made: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
        "REMOTE_ADDR": SOURCE_ADDRESS,
        ORIGIN: Origin.IN_PROCESS,
        "HTTP_HOST": DEFAULT_HOST,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        made[_key(name)] = value if value.isascii() else value.encode().decode("latin-1")  # WSGI's way to carry bytes
    host, _, port = made["HTTP_HOST"].partition(":")
    made["SERVER_NAME"], made["SERVER_PORT"] = host, port or "80"
    return made


@functools.lru_cache(maxsize=1024)
def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_" + key


class _Response:
    """What the application answers; of its body no more is kept than `READ_LIMIT`."""

    def __init__(self) -> None:
        self._status: str | None = None
        self._chunks: list[bytes] = []
        self._length = 0

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],  # noqa: ARG002 - the signature is WSGI's; a task's answer is its status
        exc_info: _ExcInfo | None = None,
        /,
    ) -> Any:  # noqa: ANN401 - WSGI's own type of it
        """``start_response``."""
        if exc_info is not None:
            if self._length and exc_info[1] is not None:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self._status is not None:
            raise AssertionError("start_response was called twice, the second time without exc_info")
        self._status = status
        return self.write

    def write(self, chunk: bytes) -> None:
        """Take a part of the body."""
        if self._status is None:
            raise AssertionError("the application sent a body before it called start_response")
        if self._length < READ_LIMIT:
            self._chunks.append(chunk[: READ_LIMIT - self._length])
        self._length += len(chunk)

    def status(self) -> int:
        """The status; raises where the application set none, or none that is one."""
        if self._status is None:
            raise AssertionError("the application did not call start_response")
        return int(self._status[:3])

    def body(self) -> bytes:
        """The body's beginning."""
        return b"".join(self._chunks)
