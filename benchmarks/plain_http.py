"""A web server that does next to nothing, so that what is measured is the dispatcher, not the server.

``python -m benchmarks.plain_http`` prints its port. It reads each request with its body and answers 200; ``GET
/arrivals`` answers with the monotonic times of the others. A server of a framework costs several times more.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def serving() -> Iterator[str]:
    """The URL of a server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.plain_http"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def arrivals(url: str) -> list[float]:
    """When the requests came that such a server got."""
    with urllib.request.urlopen(f"{url}/arrivals", timeout=60) as answer:
        return json.load(answer)


class _Connection(asyncio.Protocol):
    arrivals: list[float] = []  # noqa: RUF012 - one list for all connections

    def __init__(self) -> None:
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (head_end := self._read.find(_HEAD_END)) >= 0:
            head = self._read[:head_end]
            end = head_end + len(_HEAD_END) + _length(head)
            if len(self._read) < end:
                return
            self._read = self._read[end:]
            if head.startswith(b"GET /arrivals "):
                body = json.dumps(self.arrivals).encode()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            else:
                self.arrivals.append(time.monotonic())
                self._transport.write(_OK)


def _length(head: bytes) -> int:
    at = head.lower().find(_LENGTH)
    if at < 0:
        return 0
    return int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
