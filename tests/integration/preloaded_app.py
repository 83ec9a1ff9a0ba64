"""A WSGI application for ``gunicorn --preload``: the master adds tasks when it imports this, and goes on adding some.

``/?<name>`` adds a task of that payload in whichever worker answers; ``/batch?<name>`` a hundred.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from gae_broker import taskqueue

_QUEUE = taskqueue.Queue("pull")
_LOG = Path(os.environ["PRELOADED_LOG"])
_master = os.getpid()


def _add(payload: str, count: int = 1) -> None:
    _QUEUE.add([taskqueue.Task(payload=payload, method="PULL") for _ in range(count)])


def _beat() -> None:
    """In the master only: threads do not survive a fork."""
    with _LOG.open("a", buffering=1) as log:
        number = 0
        while True:
            try:
                _add(f"master-{number}")
                log.write(f"master-{number}\n")
            except taskqueue.Error as exc:
                log.write(f"error {exc!r}\n")
            number += 1
            time.sleep(0.01)


_add(f"import-{_master}", 3)
for _ in range(4):
    threading.Thread(target=_beat, daemon=True).start()


def app(environ, start_response):
    """See the module's docstring."""
    _add(environ["QUERY_STRING"], 100 if environ["PATH_INFO"] == "/batch" else 1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {_master}".encode()]
