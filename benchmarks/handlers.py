"""Trivial handlers to dispatch to, and an observer that counts; run as a module, an HTTP server."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

arrivals: list[float] = []
"""Monotonic times of requests to `stamping`."""


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Reads the body, answers 200."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def stamping(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """As `wsgi`, and notes when it was called."""
    arrivals.append(time.monotonic())
    return wsgi(environ, start_response)


late: list[float] = []
"""How late, in seconds, requests to `timing` came after their tasks' eta."""


def timing(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """As `wsgi`, and notes how late the task is."""
    late.append(time.time() - float(environ["HTTP_X_APPENGINE_TASKETA"]))
    return wsgi(environ, start_response)


def noop(_payload: bytes) -> None:
    """For deferred calls."""


class CountingObserver:
    """Counts successful attempts and sets ``done`` at the last of ``expected``."""

    def __init__(self, expected: int) -> None:
        self.done = asyncio.Event()
        self._expected = expected
        self._count = 0
        self._first = self._last = 0.0

    @property
    def rate(self) -> float:
        """Attempts per second between the first and the last."""
        return (self._count - 1) / (self._last - self._first)

    def attempted(self, _event: object) -> None:
        """Called by the dispatcher for each attempt."""
        self._count += 1
        self._last = time.perf_counter()
        if self._count == 1:
            self._first = self._last
        if self._count == self._expected:
            self.done.set()


async def _work(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text="ok")


async def _serve() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _work)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
