"""Servers that answer, and servers that do anything else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.queue import Queue
from gae_broker.engine.dispatcher import Result
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.targets.failures import EXCERPT
from gae_broker.engine.targets.http import HttpTarget
from gae_broker.engine.targets.local import NO_CAPACITY
from gae_broker.engine.targets.target import Job
from tests.integration.dispatching import FAST, ground

HEADERS = (
    ("x-mine", "1"),
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("X-AppEngine-TaskName", "t1"),
    ("Content-Length", "3"),
    ("Content-Type", "text/plain"),
    ("Host", "shop.example.com"),
)
REQUEST = HttpRequest("POST", "/caf%C3%A9/x?a=%20&b", HEADERS, b"abc", None, 20_000_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEGABYTE = b"x" * 1_000_000

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Speaks to each connection as a test says, until the test is over."""

    def __init__(self, serve: Serve) -> None:
        self.connections = 0
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.create_task(self._speak(reader, writer)))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort() if asyncio.current_task().cancelling() else writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def serving(serve: Serve, port: int = 0) -> AsyncIterator[tuple[Server, str]]:
    handler = Server(serve)
    server = await asyncio.start_server(handler, "127.0.0.1", port)
    async with server:
        try:
            yield handler, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await handler.end()


def answering(*parts: bytes, then: Callable[[], Awaitable[object]] | None = None) -> Serve:
    async def serve(reader, writer):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(3 if b"Content-Length: 3" in head else 0)
            for part in parts:
                writer.write(part)
                await writer.drain()
            if then is not None:
                await then()
                return

    return serve


async def closing():
    return None


def attempt(serve: Serve, *requests: HttpRequest):
    """The outcomes of attempts made one after the other, and the server."""

    async def run():
        async with serving(serve) as (server, base):
            return [await one(base, request) for request in (requests or (REQUEST,))], server

    return asyncio.run(run())


async def one(base: str, request: HttpRequest, limit: int = 10):
    target = HttpTarget(base, limit, SystemClock())
    await target.open()
    try:
        return (await several(target, request))[0]
    finally:
        await target.close()


async def several(target: HttpTarget, *requests: HttpRequest):
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in requests]
    target.start([Job(request, future.set_result) for request, future in zip(requests, futures, strict=True)])
    return await asyncio.gather(*futures)


def test_the_request_is_sent_as_it_is_but_for_what_belongs_to_the_connection():
    heads = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append((head.decode(), await reader.readexactly(3)))
        writer.write(OK)

    attempt(serve)
    ((head, body),) = heads
    line, *headers = head.strip().split("\r\n")
    assert line == "POST /caf%C3%A9/x?a=%20&b HTTP/1.1"
    assert body == b"abc"
    assert {"x-mine: 1", "X-AppEngine-TaskName: t1", "Host: shop.example.com", "Content-Length: 3"} <= set(headers)
    names = [header.partition(":")[0].lower() for header in headers]
    assert len(names) == len(set(names))
    assert not {"transfer-encoding", "connection", "accept-encoding", "cookie"} & set(names)


def test_a_url_cannot_smuggle_a_second_request():
    lines = []

    async def serve(reader, writer):
        lines.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    attempt(serve, replace(REQUEST, method="GET", url="/a b\r\nX-Evil: 1\r\n\r\nGET /c", body=b"", headers=()))
    assert lines[0].startswith(b"GET /a%20b%0D%0AX-Evil:%201%0D%0A%0D%0AGET%20/c HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500, 503])
def test_the_outcome_is_the_status_and_redirects_are_not_followed(status):
    answer = b"HTTP/1.1 %d X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" % status
    (outcome,), server = attempt(answering(answer))
    assert outcome.status == status
    assert outcome.success == (status < 300)
    assert server.connections == 1


async def hang():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (answering(then=closing), "connection closed without an answer"),
        (answering(b"\x00\xff\x17 garbage \r\n\r\n", then=closing), "not an HTTP answer"),
        (answering(b"HTTP/1.1 banana\r\n\r\n", then=closing), "not an HTTP answer"),
        (answering(b"HTTP/1.1 200 OK\r\nX: " + MEGABYTE, then=closing), "not an HTTP answer"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", then=closing), "closed in the middle"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", then=closing), "not an HTTP answer"),
    ],
)
def test_what_is_no_complete_answer_is_none(serve, reason):
    (outcome,), _ = attempt(serve)
    assert outcome.status is None
    assert reason in outcome.reason


@pytest.mark.parametrize(
    "parts",
    [(), (b"HTTP/1.1 200 OK\r\n",), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",)],
)
def test_a_server_that_hangs_anywhere_is_left_at_the_deadline(parts):
    (outcome,), _ = attempt(answering(*parts, then=hang), replace(REQUEST, deadline_us=200_000))
    assert (outcome.status, outcome.reason) == (None, "deadline of 0.2 s exceeded")


@pytest.mark.parametrize("head", [b"Content-Length: 10000000", b"Connection: close"])
def test_ten_megabytes_are_not_read_to_their_end(head):
    sent = []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        for _ in range(10):
            writer.write(MEGABYTE)
            await writer.drain()
            sent.append(1)

    (outcome,), _ = attempt(serve)
    assert outcome.status == 200
    assert len(outcome.body_excerpt) == EXCERPT
    assert len(sent) < 10


def test_connections_are_used_again():
    async def run():
        async with serving(answering(OK)) as (server, base):
            target = HttpTarget(base, 10, SystemClock())
            await target.open()
            outcomes = [(await several(target, REQUEST))[0] for _ in range(5)]
            await target.close()
            return outcomes, server.connections

    outcomes, connections = asyncio.run(run())
    assert [outcome.status for outcome in outcomes] == [200] * 5
    assert connections == 1


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("http://127.0.0.1:{port}", "connection refused by 127.0.0.1:{port}"),
        ("http://no-such-host.invalid", "host name no-such-host.invalid not found"),
        ("https://127.0.0.1:{port}", "connection refused by 127.0.0.1:{port}"),
    ],
)
def test_a_server_that_cannot_be_reached(base, reason):
    port = unused_port()
    outcome = asyncio.run(one(base.format(port=port), REQUEST))
    assert (outcome.status, outcome.reason) == (None, reason.format(port=port))


def test_a_server_that_speaks_no_tls():
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def run():
        async with serving(serve) as (_, base):
            return await one(base.replace("http:", "https:"), REQUEST)

    outcome = asyncio.run(run())
    assert outcome.status is None
    assert outcome.reason.startswith("no secure connection")


def test_a_header_that_cannot_be_sent_fails_the_attempt():
    (outcome,), _ = attempt(answering(OK), replace(REQUEST, headers=(("x-bad", "a\r\nX-Evil: 1"),)))
    assert outcome.status is None
    assert outcome.reason.startswith("request cannot be sent")


def test_a_task_that_fails_fast_does_not_wait_for_a_connection():
    hasty = replace(REQUEST, headers=(*HEADERS, ("x-appengine-failfast", "true")))

    async def run():
        release = asyncio.Event()
        async with serving(answering(then=release.wait)) as (_, base):
            target = HttpTarget(base, 1, SystemClock())
            await target.open()
            target.start([Job(REQUEST, lambda _: None)])
            assert target.room() == 0
            outcome = (await several(target, hasty))[0]
            await target.close()
            return outcome

    outcome = asyncio.run(run())
    assert (outcome.status, outcome.reason) == (None, NO_CAPACITY)


def test_tasks_go_to_a_server_and_one_that_is_down_costs_no_execution():
    port = unused_port()
    queue = Queue("q", **FAST)
    with ground(queue, targets={"default": f"http://127.0.0.1:{port}"}) as field:
        field.add("t", queue="q")
        heads = []

        async def serve(reader, writer):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)

        async def scenario(_):
            (event,) = (await field.watcher.attempts(1))[:1]
            assert event.reason == f"connection refused by 127.0.0.1:{port}"
            async with serving(serve, port):
                await field.watcher.attempts(1, result=Result.SUCCESS)

        field.serve(scenario)
    assert b"X-AppEngine-TaskExecutionCount: 0\r\n" in heads[0]
    tries = len(field.watcher.events)
    assert b"X-AppEngine-TaskRetryCount: %d\r\n" % (tries - 1) in heads[0]
