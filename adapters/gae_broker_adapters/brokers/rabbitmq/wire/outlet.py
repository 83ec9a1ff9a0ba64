"""The way of encoded messages onto the wire, past what pika documents.

pika encodes in the thread of its connection, checks every argument again, and writes each of a message's frames by a
system call of its own, a turn of its loop later. `FrameOutlet` takes frames that were encoded in the caller's thread
and writes those of a whole batch at once; on a connection without TLS, in the caller's thread as well, which saves
waking the other. It needs a few members of pika's connection and transport; where a release of pika has them no more,
`PublicOutlet` does the same by pika's documented ways, slower. A test fails when that happens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from gae_broker.domain.message import Message
from gae_broker_adapters.brokers.rabbitmq.wire import envelope, frames

_CHUNK = 256 * 1024
"""What a socket does not take pika copies again and again, so it should not be much."""


class Gate(Protocol):
    """A reentrant lock: whoever writes holds it."""

    def acquire(self, blocking: bool = ...) -> bool:
        """Take it."""

    def release(self) -> None:
        """Let it go."""

    def __enter__(self) -> bool: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object: ...


class PublicOutlet:
    """Writes messages to a channel by pika's documented methods.

    Attributes:
        cut: what its encoded messages depend on; they may be written by any outlet with the same one.
        any_thread: whether `write` may be called in any thread, or in the connection's only.
    """

    cut = None
    any_thread = False

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def encode(self, message: Message, exchange: str, key: str) -> object:
        """A message ready to be written; in any thread.

        Raises:
            ValueError: it cannot be written as AMQP.
        """
        frames.publish(message, exchange, key, _ANY)  # or what cannot be written would show in the wrong thread
        properties, body = envelope.contents(message)
        return exchange, key, body, properties, not isinstance(message, envelope.Delayed)

    def write(self, encoded: Sequence[Any]) -> None:
        """Write messages in order, holding the gate."""
        for exchange, key, body, properties, mandatory in encoded:
            self._channel.basic_publish(exchange, key, body, properties, mandatory=mandatory)


class FrameOutlet:
    """As `PublicOutlet`, past pika's encoding."""

    def __init__(self, cut: frames.Cut, send: Callable[[bytes], None], *, any_thread: bool) -> None:
        self.cut = cut
        self.any_thread = any_thread
        self._send = send

    def encode(self, message: Message, exchange: str, key: str) -> object:
        """As `PublicOutlet.encode`."""
        return frames.publish(message, exchange, key, self.cut)

    def write(self, encoded: Sequence[Any]) -> None:
        """As `PublicOutlet.write`."""
        chunk: list[bytes] = []
        size = 0
        for one in encoded:
            chunk.append(one)
            size += len(one)
            if size >= _CHUNK:
                self._send(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            self._send(b"".join(chunk))


Outlet = FrameOutlet | PublicOutlet


def open_outlet(channel: Channel, gate: Gate) -> Outlet:
    """The fastest outlet that this pika and this connection allow; called in the connection's thread.

    From then on everything that is written to the connection, pika's heartbeats too, passes the gate.
    """
    connection: Any = channel.connection
    largest_frame = getattr(getattr(connection, "params", None), "frame_max", None)
    output = getattr(connection, "_output_marshaled_frames", None)
    if not isinstance(largest_frame, int) or not callable(output):
        return PublicOutlet(channel)
    cut = frames.Cut(channel.channel_number, largest_frame)
    send = None if connection.params.ssl_options is not None else _sender(connection, gate)
    if send is None:
        return FrameOutlet(cut, lambda data: output([data]), any_thread=False)
    return FrameOutlet(cut, send, any_thread=True)


def _sender(connection: Any, gate: Gate) -> Callable[[bytes], None] | None:  # noqa: ANN401 - pika has no types
    """Writes to the socket in any thread, ``None`` where that cannot be.

    pika writes what is in its transport's buffer, in its own thread; while that is empty, and the gate keeps pika from
    filling it, the socket is free. With TLS it is not: a TLS object is for one thread at a time, reading included.
    """
    transport: Any = getattr(connection, "_transport", None)
    names = ("_sock", "_nbio", "write", "get_write_buffer_size", "_buffer_tx_data", "_on_socket_writable")
    if not all(hasattr(transport, name) for name in names):
        return None
    sock, nbio, write = transport._sock, transport._nbio, transport.write  # noqa: SLF001 - see the module's docstring
    pending, keep, go_on = transport.get_write_buffer_size, transport._buffer_tx_data, transport._on_socket_writable  # noqa: SLF001

    def gated_write(data: bytes) -> None:
        with gate:
            write(data)

    def flush() -> None:
        if pending():
            nbio.set_writer(sock.fileno(), go_on)

    def send(data: bytes) -> None:
        sent = 0
        if not pending():
            try:
                sent = sock.send(data)
            except OSError:
                sent = 0  # full, or gone: pika finds out when it tries
            connection.bytes_sent += sent
        if sent < len(data):
            keep(data[sent:])
            nbio.add_callback_threadsafe(flush)

    if getattr(write, "__name__", "") != gated_write.__name__:  # another channel of this connection may have done it
        transport.write = gated_write
    return send


def abort(connection: SelectConnection) -> None:
    """End a connection without a word; in its thread.

    By pika's documented way it would say goodbye first, which a broker may never answer that got half a frame before.
    """
    end = getattr(connection, "_terminate_stream", None)
    if callable(end):
        end(ConnectionAbortedError("given up by this program"))
    else:
        connection.close()


def new_gate() -> Gate:
    """A gate for one connection after another."""
    return threading.RLock()


_ANY = frames.Cut(1, 1 << 17)
