"""A handler that writes down each of its runs: one line of the file that ``COUNTING_LOG`` names, the task's body.

It works a few milliseconds before it writes, so that whoever kills its dispatcher finds tasks under way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

LOG_VARIABLE = "COUNTING_LOG"
WORK_S = 0.002


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Append the request's body, in one write that no other process's can come into."""
    time.sleep(WORK_S)
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    descriptor = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, body + b"\n")
    finally:
        os.close(descriptor)
    start_response("204 No Content", [])
    return []
