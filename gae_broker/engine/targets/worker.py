"""A worker process: imports an application and runs what its pool sends. Started by `worker_process`.

It ends when its pool's end of the socket closes, so also when the dispatcher is killed: nothing outlives it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from typing import cast

from gae_broker import registry
from gae_broker.engine import runtime
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.targets.frames import Frames, Start, Word, jobs_of, pack, plain_results
from gae_broker.engine.targets.hand import Result
from gae_broker.engine.targets.host import Host, make_host
from gae_broker.errors import ConfigurationError

_SWEEP_S = 0.2
_CHUNK = 262_144

BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
    "from gae_broker.engine.targets.worker import main; main(int(sys.argv[1]))"
)
"""Run with ``python -c``: the imports of the worker are those of the dispatcher, whatever its environment says."""


def boot_arguments(file_descriptor: int) -> list[str]:
    """The command line of a worker that finds its pool at this descriptor."""
    return [sys.executable, "-c", BOOT, str(file_descriptor), json.dumps(sys.path)]


class Pipe:
    """The worker's end of the socket; any thread may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._results: deque[Result] = deque()
        self.host: Host | None = None

    def say(self, word: Word, *content: object) -> None:
        """Send one frame."""
        with self._sending:
            self._send(pack(word, *content))
        self._flush()

    def post(self, result: Result) -> None:
        """Send a result, together with those that came while another thread was sending."""
        self._results.append(result)
        self._flush()

    def _flush(self) -> None:
        # Whoever finds the lock taken leaves its result to the holder, who looks again after letting go of it.
        while self._results and self._sending.acquire(blocking=False):
            try:
                batch = [self._results.popleft() for _ in range(len(self._results))]
                lost = 0 if self.host is None else self.host.lost
                self._send(pack(Word.RESULTS, plain_results(batch), lost))
            finally:
                self._sending.release()

    def _send(self, frame: bytes) -> None:
        try:
            self._connection.sendall(frame)
        except OSError:
            os._exit(0)  # the pool is gone


class PipeHandler(logging.Handler):
    """Hands log records to the dispatcher, which writes them as it writes its own."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, its text made here: arguments and tracebacks need not be picklable."""
        fields = dict(vars(record), msg=record.getMessage(), args=None, exc_info=None)
        if record.exc_info:
            fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
        plain = {
            key: value if isinstance(value, int | float | str | None) else str(value) for key, value in fields.items()
        }
        self._pipe.say(Word.LOG, plain)


def main(file_descriptor: int) -> None:
    """Serve the pool at this descriptor until it goes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A terminal and a service manager signal the whole group; when to end is the dispatcher's to say. Not
        # SIG_IGN, which the handlers' own child processes would inherit.
        signal.signal(number, lambda *_: None)
    connection = socket.socket(fileno=file_descriptor)
    pipe = Pipe(connection)
    frames = Frames()
    while True:
        readable, _, _ = select.select([connection], [], [], _SWEEP_S)
        if pipe.host is not None:
            pipe.host.sweep()
        if not readable:
            continue
        data = _received(connection)
        if not data:
            os._exit(0)  # without clean-up: threads may be busy, and whoever wanted their results is gone
        for word, content in frames.feed(data):
            _obey(pipe, word, content)


def _received(connection: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionError):
        return connection.recv(_CHUNK)
    return b""


def _obey(pipe: Pipe, word: Word, content: tuple[object, ...]) -> None:
    if word is Word.START:
        _start(pipe, cast("Start", content[0]))
    elif pipe.host is None:
        return
    elif word is Word.JOBS:
        pipe.host.submit(jobs_of(content[0]))
    elif word is Word.WITHDRAW:
        pipe.host.withdraw()
    elif word is Word.STOP:
        pipe.host.close()
        sys.exit(0)


def _start(pipe: Pipe, start: Start) -> None:
    logging.getLogger().addHandler(PipeHandler(pipe))
    for name, level in start.levels:
        logging.getLogger(name).setLevel(level)
    try:
        registry.install_shim(runtime.settings().shim)
        host = make_host(start.spec, start.threads, SystemClock(), pipe.post, multiprocess=True)
        host.open()
    except ConfigurationError as exc:
        pipe.say(Word.FAILED, str(exc))
        sys.exit(1)
    pipe.host = host
    pipe.say(Word.READY, host.size)
