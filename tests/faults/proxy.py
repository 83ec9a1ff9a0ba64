"""A TCP proxy before a RabbitMQ that breaks connections on purpose, as precisely as a test wants it.

It reads the frames of AMQP 0-9-1 that pass, so that a connection can be cut at one of them: a publisher's just before
its confirm would arrive, a consumer's just before its ack would.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Self

_HEADER = 8
"""``AMQP0091``: what a client sends first is no frame."""
_METHOD = 1
CONFIRM = ACK = (60, 80)
"""``basic.ack``: to a publisher a confirm, from a consumer an ack."""
PUBLISH = (60, 40)


class Side(Enum):
    """Who sends."""

    CLIENT = "client"
    SERVER = "server"


@dataclass
class Cut:
    """Wanted: both ends of a connection closed instead of passing on the ``nth`` such method that this side sends."""

    side: Side
    method: tuple[int, int]
    nth: int
    done: threading.Event


class Frames:
    """Finds the methods in one direction of a connection, however its bytes are divided."""

    def __init__(self, preamble: int) -> None:
        self._rest = b""
        self._preamble = preamble

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, tuple[int, int] | None]]:
        """Each complete frame's bytes, and its method if it carries one."""
        self._rest += chunk
        if self._preamble and len(self._rest) >= self._preamble:
            yield self._rest[: self._preamble], None
            self._rest, self._preamble = self._rest[self._preamble :], 0
        while not self._preamble and len(self._rest) >= 7:
            kind, _, size = struct.unpack(">BHI", self._rest[:7])
            if len(self._rest) < size + 8:
                return
            frame, self._rest = self._rest[: size + 8], self._rest[size + 8 :]
            yield frame, struct.unpack(">HH", frame[7:11]) if kind == _METHOD else None


class Proxy:
    """Listens on a port of its own; use it as a context manager.

    Args:
        port: of the server, on this host.
        reads_frames: whether they speak AMQP; if not, nothing can be cut at a method.
    """

    def __init__(self, port: int, *, reads_frames: bool = True) -> None:
        self._reads_frames = reads_frames
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._threads: list[threading.Thread] = []
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = False
        self._closing = False
        self._cuts: list[Cut] = []

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._flows.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    # ---------------------------------------------------------------------------------------- what it can do

    def cut(self) -> None:
        """Close every connection there is; new ones are served."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _close(pair)

    def cut_before(self, side: Side, method: tuple[int, int], nth: int = 1) -> threading.Event:
        """Cut the connection on which this side sends the ``nth`` such method from now on, before it passes.

        Returns:
            Set when that has happened.
        """
        cut = Cut(side, method, nth, threading.Event())
        with self._lock:
            self._cuts.append(cut)
        return cut.done

    def black_hole(self) -> None:
        """From now on pass nothing on, on old connections and new ones, and close none."""
        self._flows.clear()

    def heal(self) -> None:
        """End `black_hole` and `refuse`; what was held back passes."""
        self._refuses = False
        self._flows.set()

    def refuse(self) -> None:
        """Close every connection, and new ones at once."""
        self._refuses = True
        self.cut()

    # ---------------------------------------------------------------------------------------- how

    def _spawn(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._refuses:
                    raise ConnectionRefusedError
                server = socket.create_connection(self._target, 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.add(pair)
            self._spawn(self._pump, pair, Side.CLIENT)
            self._spawn(self._pump, pair, Side.SERVER)

    def _pump(self, pair: tuple[socket.socket, socket.socket], side: Side) -> None:
        source, sink = pair if side is Side.CLIENT else pair[::-1]
        frames = Frames(_HEADER if side is Side.CLIENT else 0)
        try:
            while chunk := source.recv(65536):
                self._flows.wait()
                for frame, method in frames.feed(chunk) if self._reads_frames else [(chunk, None)]:
                    if method is not None and self._is_to_be_cut(side, method):
                        return
                    sink.sendall(frame)
        except OSError:
            return
        finally:
            with self._lock:
                self._pairs.discard(pair)
            _close(pair)

    def _is_to_be_cut(self, side: Side, method: tuple[int, int]) -> bool:
        with self._lock:
            for cut in self._cuts:
                if (cut.side, cut.method) == (side, method):
                    cut.nth -= 1
                    if not cut.nth:
                        self._cuts.remove(cut)
                        cut.done.set()
                        return True
        return False


def _close(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
