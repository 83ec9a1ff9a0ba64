"""A push handler that keeps a log of what it ran: in process as ``tests.faults.handler:app``, or as an HTTP server.

A task's body says what it wants: ``<id> <due_us> <work_ms> <failures>``, of which the last is how many of its first
executions answer 500. The log has a line when an execution begins and one when it ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from aiohttp import web

LOG_VARIABLE = "FAULTS_LOG"
_EXECUTIONS = "X-AppEngine-TaskExecutionCount"


def body(identity: str, due_us: int, work_ms: int, failures: int) -> str:
    """What such a task carries."""
    return f"{identity} {due_us} {work_ms} {failures}"


def write(*words: object) -> None:
    """Append a line, in one write that no other process's can come into."""
    line = " ".join(str(word) for word in words) + "\n"
    descriptor = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def now_us() -> int:
    return time.time_ns() // 1000


def _begin(text: str, executions: str) -> tuple[str, float, int]:
    identity, due_us, work_ms, failures = text.split()
    status = 500 if int(executions) < int(failures) else 200
    write("begin", now_us(), os.getpid(), identity, due_us, executions)
    return identity, int(work_ms) / 1000, status


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Run in the dispatcher's own process."""
    text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
    identity, work_s, status = _begin(text, environ["HTTP_" + _EXECUTIONS.upper().replace("-", "_")])
    time.sleep(work_s)
    write("end", now_us(), os.getpid(), identity, status)
    start_response("200 OK" if status == 200 else "500 Wanted", [])
    return []


async def _serve(request: web.Request) -> web.Response:
    identity, work_s, status = _begin(await request.text(), request.headers[_EXECUTIONS])
    await asyncio.sleep(work_s)
    write("end", now_us(), os.getpid(), identity, status)
    return web.Response(status=status)


def main() -> None:
    """Serve on the port given."""
    application = web.Application()
    application.router.add_post("/{path:.*}", _serve)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=lambda _: None, access_log=None)


if __name__ == "__main__":
    main()
