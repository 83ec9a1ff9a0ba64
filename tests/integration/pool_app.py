"""An application for worker processes: what a request does stands in its path."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path


def app(environ, start_response):
    action = environ["PATH_INFO"].strip("/")
    file = Path(environ["QUERY_STRING"]) if environ["QUERY_STRING"] else None
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "die-once" and file is not None and not file.exists():
        file.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "hang-once" and file is not None and not file.exists():
        file.write_text(str(os.getpid()))
        threading.Event().wait()
    elif action == "await" and file is not None:
        while not file.exists():
            time.sleep(0.01)
    elif action == "fail":
        logging.getLogger("pool_app").warning("about to fail")
        raise ValueError("on purpose")
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]


def broken():
    sys.exit("this factory ends its process")
