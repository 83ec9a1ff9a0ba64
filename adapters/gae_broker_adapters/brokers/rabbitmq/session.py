"""One connection and the thread that serves it, reconnected as long as it is wanted.

Everything pika does happens in that thread; other threads hand over callables with `Session.run`. The thread serves
heartbeats while the application idles, so an idle connection stays alive.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pika
from pika.adapters.select_connection import IOLoop, SelectConnection

from gae_broker_adapters.brokers.rabbitmq.location import Location

_log = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a session tells; called in its thread.

    Attributes:
        opened: a connection is there.
        closed: it is gone, and why.
        blocked: the broker stopped (the text says why) or resumed (empty text) reading from it.
    """

    opened: Callable[[SelectConnection], None]
    closed: Callable[[Exception], None]
    blocked: Callable[[str], None] = lambda _: None


class Session:
    """A connection kept open by its own thread, which starts with `start`.

    Args:
        location: where the broker is.
        listener: whom to tell.
        name: of the thread, for logs.
    """

    def __init__(self, location: Location, listener: Listener, name: str) -> None:
        self._location = location
        self._listener = listener
        self._name = name
        self._lock = threading.Lock()
        self._work: deque[Callable[[], None]] = deque()
        self._awake = False
        self._stopping = threading.Event()
        self._loop: IOLoop | None = None
        self._connecting: IOLoop | None = None
        self._thread: threading.Thread | None = None
        self._connection: SelectConnection | None = None
        self._connected_once = False
        self.error: Exception | None = None
        """Why there is no connection now, ``None`` while there is one."""

    def start(self) -> None:
        """Start the thread, if it does not run yet."""
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()

    def run(self, work: Callable[[], None]) -> None:
        """Let the session's thread call ``work`` soon; while there is no connection it waits for one."""
        with self._lock:
            self._work.append(work)
            if self._awake or self._loop is None:
                return
            self._awake = True
            loop = self._loop
        loop.add_callback_threadsafe(self._do_work)

    def close(self) -> None:
        """Close the connection and end the thread. Idempotent."""
        self._stopping.set()
        self.run(self._close_connection)
        with self._lock:
            connecting = self._connecting
        if connecting is not None:
            connecting.add_callback_threadsafe(connecting.stop)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_S)

    def _do_work(self) -> None:
        while True:
            with self._lock:
                if not self._work:
                    self._awake = False
                    return
                work, self._work = self._work, deque()
            for call in work:
                call()

    def _serve(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._stopping.is_set():
            if self._connect_and_serve():
                wait_s = _FIRST_WAIT_S
            # Jitter: or a thousand processes would come back to a restarted broker in the same moment.
            self._stopping.wait(wait_s * random.uniform(0.5, 1.5))  # noqa: S311
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _connect_and_serve(self) -> bool:
        """Serve one connection to its end; whether there was one."""
        loop = IOLoop()
        opened = False
        with self._lock:
            self._connecting = loop

        def connected(result: SelectConnection | BaseException) -> None:
            nonlocal opened
            if isinstance(result, BaseException):
                self._failed(result)
                loop.stop()
                return
            opened = True
            self._opened(result, loop)

        SelectConnection.create_connection(
            self._location.parameters,
            on_done=connected,
            custom_ioloop=loop,
        )
        try:
            loop.start()
        finally:
            with self._lock:
                self._loop = self._connecting = None
                self._awake = False
            loop.close()
        return opened

    def _failed(self, error: BaseException) -> None:
        if self.error is None or self._connected_once:
            _log.warning("RabbitMQ at %s cannot be reached, trying again: %s", self._location, _describe(error))
        self._connected_once = False
        self.error = error if isinstance(error, Exception) else RuntimeError(repr(error))

    def _opened(self, connection: SelectConnection, loop: IOLoop) -> None:
        self._connection = connection
        self.error, self._connected_once = None, True
        _log.info("connected to RabbitMQ at %s", self._location)
        connection.add_on_close_callback(self._closed)
        connection.add_on_connection_blocked_callback(
            lambda _, frame: self._listener.blocked(_text(frame.method.reason)),
        )
        connection.add_on_connection_unblocked_callback(lambda _, __: self._listener.blocked(""))
        self._listener.opened(connection)
        with self._lock:
            self._loop, self._connecting = loop, None
            self._awake = True
        self._do_work()

    def _closed(self, connection: SelectConnection, error: Exception) -> None:
        self.error, self._connection = error, None
        with self._lock:
            self._loop = None
        if not self._stopping.is_set():
            _log.warning("the connection to RabbitMQ at %s ended, reconnecting: %s", self._location, _describe(error))
        self._listener.closed(error)
        connection.ioloop.stop()

    def _close_connection(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _describe(error: BaseException) -> str:
    if isinstance(error, pika.exceptions.AMQPConnectionError) and not str(error):
        return repr(error)
    return str(error) or repr(error)
