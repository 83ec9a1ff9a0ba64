"""A worker process as its pool sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from typing import Protocol, cast

from gae_broker.engine.targets.frames import LENGTH, Start, Word, pack, plain_jobs, results_of, unpack
from gae_broker.engine.targets.hand import Numbered, Result
from gae_broker.engine.targets.worker import boot_arguments

_END_S = 5.0
_UNRESPONSIVE_S = 5.0
_US = 1_000_000


class Listener(Protocol):
    """Whoever owns worker processes; called on the loop."""

    def ready(self) -> None:
        """An application is there."""

    def resolved(self, worker: WorkerProcess, results: list[Result]) -> None:
        """Attempts ended."""

    def ended(self, worker: WorkerProcess, reason: str, unresolved: list[int]) -> None:
        """The process is gone, and these attempts with it."""


class WorkerProcess:
    """A fresh interpreter; it is gone when its socket is.

    Attributes:
        size: requests at a time, 0 until the application is there.
        lost: of these, given up and still running.
        is_retired: nothing more is sent to it.
        failure: why its application does not start.
        began_s: when it was started, in monotonic seconds.
    """

    def __init__(self, listener: Listener) -> None:
        self.size = 0
        self.lost = 0
        self.is_retired = False
        self.failure: str | None = None
        self.began_s = time.monotonic()
        self._listener = listener
        self._why = ""
        self._limits_s: dict[int, float] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._limits_s)

    async def start(self, start: Start) -> None:
        """Start the process; it reports when it is ready."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own interpreter; it returns after the fork
                boot_arguments(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        reader, self._writer = await asyncio.open_connection(sock=self._socket)
        self._writer.write(pack(Word.START, start))
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))

    def submit(self, jobs: Iterable[Numbered]) -> None:
        """Send requests."""
        jobs = list(jobs)
        now_s = time.monotonic()
        self._limits_s.update((number, now_s + request.deadline_us / _US + _UNRESPONSIVE_S) for number, request in jobs)
        self._say(Word.JOBS, plain_jobs(jobs))

    def withdraw(self) -> None:
        """Have it give back what has not begun."""
        self._say(Word.WITHDRAW)

    def is_unresponsive(self) -> bool:
        """Whether it should have failed an attempt long ago and did not: not even its main thread runs."""
        return bool(self._limits_s) and min(self._limits_s.values()) < time.monotonic()

    def kill(self, why: str) -> None:
        """End it now, whatever it does; ``why`` is what its attempts fail with."""
        self._why = why
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """End it without telling the listener: in good order if it has nothing to do, otherwise at once. Idempotent."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._process is not None:
            await self._end(self._process)
        await self._hang_up()

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        if self._limits_s or not self.size or self._writer is None:
            process.kill()
        else:
            self._say(Word.STOP)
        try:
            await asyncio.to_thread(process.wait, _END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def _hang_up(self) -> None:
        """Close our end of the socket, whatever could not be sent."""
        if self._writer is not None:
            self._writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                # Shielded: whoever is cancelled while waiting would cancel the one future that all who wait share.
                await asyncio.shield(self._writer.wait_closed())
        elif self._socket is not None:
            self._socket.close()

    def _say(self, word: Word, *content: object) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(pack(word, *content))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                self._hear(*unpack(await reader.readexactly(length)))
        await self._hang_up()
        reason = await self._reason()
        unresolved, self._limits_s = list(self._limits_s), {}
        self._listener.ended(self, reason, unresolved)

    def _hear(self, word: Word, content: tuple[object, ...]) -> None:
        if word is Word.RESULTS:
            results = results_of(content[0])
            self.lost = cast("int", content[1])
            for number, _ in results:
                self._limits_s.pop(number, None)
            self._listener.resolved(self, results)
        elif word is Word.READY:
            self.size = cast("int", content[0])
            self._listener.ready()
        elif word is Word.FAILED:
            self.failure = cast("str", content[0])
        elif word is Word.LOG:
            record = logging.makeLogRecord(cast("dict[str, object]", content[0]))
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)

    async def _reason(self) -> str:
        """Why the process ended; its socket may close a moment before it is gone."""
        if self._process is None:
            return "worker process did not start"
        try:
            code = await asyncio.to_thread(self._process.wait, _END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        if self._why:
            return self._why
        if code < 0:
            return f"worker process ended by {signal.Signals(-code).name}"
        return f"worker process ended with status {code}"
