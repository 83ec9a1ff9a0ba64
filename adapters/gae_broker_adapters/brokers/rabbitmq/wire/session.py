"""One connection and the thread that serves it, reconnected as long as it is wanted.

Everything pika does happens in that thread; other threads hand over callables with `Session.run`. The thread serves
heartbeats while the application idles, so an idle connection stays alive. The hosts of a cluster are tried one after
another, beginning with one at random, and after the end of a connection with the next.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pika
from pika.adapters.select_connection import IOLoop, SelectConnection

from gae_broker.errors import BrokerUnavailableError, Error
from gae_broker_adapters.brokers.rabbitmq.wire import failures, outlet
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location

_log = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_STABLE_S = 1.0
"""A connection that ended sooner does not make the waits between connections short again."""
_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a session tells; called in its thread.

    Attributes:
        opened: a connection is there.
        closed: it is gone, and why.
        blocked: the broker stopped (the text says why) or resumed (empty text) reading from it.
        failed: no host could be connected to, and why; it is tried again.
    """

    opened: Callable[[SelectConnection], None]
    closed: Callable[[Exception], None]
    blocked: Callable[[str], None] = lambda _: None
    failed: Callable[[Error], None] = lambda _: None


class Session:
    """A connection kept open by its own thread, which starts with `start`.

    Args:
        location: where the broker is.
        listener: whom to tell.
        name: of the thread and of the connection, for logs and RabbitMQ's console.
        connect: the kind of connection.
    """

    def __init__(
        self,
        location: Location,
        listener: Listener,
        name: str,
        connect: type[SelectConnection] = SelectConnection,
    ) -> None:
        self._location = location
        self._listener = listener
        self._name = name
        self._connect = connect
        self._lock = threading.Lock()
        self._work: deque[Callable[[], None]] = deque()
        self._awake = False
        self._stopping = threading.Event()
        self._loop: IOLoop | None = None
        self._cancel: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._connection: SelectConnection | None = None
        self._turn = random.randrange(len(location.hosts))  # noqa: S311 - spreads processes over a cluster
        self.error: Error | None = None
        """Why there is no connection now; ``None`` while there is one, and before the first attempt ended."""

    def start(self) -> None:
        """Start the thread, if it does not run yet.

        Raises:
            BrokerUnavailableError: no thread can be started, as the interpreter is ending.
        """
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is not None or self._stopping.is_set():
                return
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError as exc:
                raise BrokerUnavailableError(f"RabbitMQ at {self._location} cannot be used now: {exc}") from exc
            self._thread = thread

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller runs in the session's thread, where it must not wait."""
        return threading.current_thread() is self._thread

    def run(self, work: Callable[[], None]) -> None:
        """Let the session's thread call ``work`` soon; while there is no connection it waits for one."""
        with self._lock:
            self._work.append(work)
            if self._awake or self._loop is None:
                return
            self._awake = True
            # Within the lock: a loop that has ended must not be woken.
            self._loop.add_callback_threadsafe(self._do_work)

    def wake(self, work: Callable[[], None]) -> None:
        """As `run`, but nothing happens while there is no connection."""
        if self._loop is not None:
            self.run(work)

    def close(self) -> None:
        """Close the connection and end the thread. Idempotent."""
        self._stopping.set()
        self.run(self._close_connection)
        with self._lock:
            if self._cancel is not None:
                self._cancel()
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
            began_s = time.monotonic()
            try:
                connected = self._connect_and_serve()
            except Exception as exc:  # noqa: BLE001 - see below
                # A fault of ours in a callback: without a thread every later call would wait in vain.
                _log.exception("serving the connection to RabbitMQ at %s failed, reconnecting", self._location)
                self._end(exc)
                connected = True
            if connected and time.monotonic() - began_s >= _STABLE_S:
                wait_s = _FIRST_WAIT_S
            # Jitter: or a thousand processes would come back to a restarted broker in the same moment.
            self._stopping.wait(wait_s * random.uniform(0.5, 1.5))  # noqa: S311
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _connect_and_serve(self) -> bool:
        """Serve a connection to the first host that can be reached, to its end; whether there was one."""
        errors: list[Error] = []
        for where, parameters in self._location.tour(self._turn, self._name):
            error = self._try(where, parameters)
            self._turn += 1
            if error is None:
                return True
            if self._stopping.is_set():
                return False
            errors.append(error)
        self._failed(errors)
        return False

    def _try(self, where: str, parameters: pika.ConnectionParameters) -> Error | None:
        """Serve a connection to one host; why there was none."""
        loop = IOLoop()
        error: Error | None = None

        def connected(result: SelectConnection | BaseException) -> None:
            nonlocal error
            with self._lock:
                self._cancel = None
            if isinstance(result, BaseException):
                error = failures.to_connect(result, where)
                loop.stop()
            else:
                self._opened(result, loop, where)

        begun: list[SelectConnection] = []

        class Connection(self._connect):  # type: ignore[name-defined,misc] # pika has no types
            """One that can be found while it is being made."""

            def __init__(self, *arguments: object, **options: object) -> None:
                super().__init__(*arguments, **options)
                begun.append(self)

        workflow = Connection.create_connection([parameters], on_done=connected, custom_ioloop=loop)

        def abort() -> None:
            with contextlib.suppress(Exception):  # it is done, or being aborted, already
                workflow.abort()
            for connection in begun:
                # Or pika would wait for a goodbye from a broker that did not even greet.
                with contextlib.suppress(Exception):
                    outlet.abort(connection)

        with self._lock:
            self._cancel = lambda: loop.add_callback_threadsafe(abort)
        if self._stopping.is_set():
            abort()
        try:
            loop.start()
        finally:
            with self._lock:
                self._loop = self._cancel = None
                self._awake = False
                loop.close()
        return error

    def _failed(self, errors: list[Error]) -> None:
        """No host could be reached."""
        error = failures.gravest(errors)
        if str(error) != str(self.error):
            _log.warning("%s; trying again", error)
        self.error = error
        self._listener.failed(error)

    def _opened(self, connection: SelectConnection, loop: IOLoop, where: str) -> None:
        self._connection = connection
        self.error = None
        _log.info("connected to RabbitMQ at %s", where)
        connection.add_on_close_callback(lambda _, reason: self._closed(connection, reason, where))
        connection.add_on_connection_blocked_callback(
            lambda _, frame: self._listener.blocked(_decoded(frame.method.reason)),
        )
        connection.add_on_connection_unblocked_callback(lambda _, __: self._listener.blocked(""))
        self._listener.opened(connection)
        with self._lock:
            self._loop = loop
            self._awake = True
        if self._stopping.is_set():
            self._close_connection()
        self._do_work()

    def _closed(self, connection: SelectConnection, reason: Exception, where: str) -> None:
        error = failures.to_stay(reason, where)
        if not self._stopping.is_set():
            _log.warning("%s; reconnecting", error)
        connection.ioloop.stop()
        self._end(reason, error)

    def _end(self, reason: Exception, error: Error | None = None) -> None:
        self.error = error or failures.to_stay(reason, str(self._location))
        self._connection = None
        with self._lock:
            self._loop = None
        self._listener.closed(reason)

    def _close_connection(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()


def _decoded(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
