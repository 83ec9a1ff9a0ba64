"""The embedded broker: adding, leasing and dispatching 200-byte tasks, with few and with a million stored."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from benchmarks import peers, stores
from benchmarks.dispatching import drain
from benchmarks.measure import Figure, at_least, median_rate, rate
from gae_broker import taskqueue

_FEW, _MANY = 1_000, 1_000_000
_BATCH = 100
_FLAT = 1.5


def add() -> Iterator[Figure]:
    """Batches of 100 through `taskqueue.Queue.add`, beside a bare durable table and huey."""
    count = 10_000
    with stores.directory() as where:
        bare = rate(count, lambda: peers.bare_sqlite_add(where / "bare.db", count, _BATCH))
        huey = rate(2_000, lambda: peers.HueyPeer(where / "huey.db").add(2_000))
        with stores.runtime(where / "add.db"):
            ours = median_rate(count, lambda: _add_batches(count))
            single = rate(2_000, lambda: _add_single(2_000))
        yield at_least("add, batches of 100", ours, 10_000, "bare SQLite table, same batches", bare)
        yield Figure("add, one by one", single, "tasks/s", "", None, f"huey on SQLite {huey:,.0f}/s", single / huey)


def lease_and_delete() -> Iterator[Figure]:
    """Pull workers in batches of 100."""
    count = 10_000
    with stores.directory() as where, stores.runtime(where / "pull.db") as opened:
        stores.fill(opened, "pull", 3 * count, "PULL")
        ours = median_rate(count, lambda: _lease_batches(count))
        huey = peers.HueyPeer(where / "huey.db")
        huey.add(2_000)
        drained = rate(2_000, lambda: huey.drain(2_000))
        yield at_least("lease + delete, batches of 100", ours, 5_000, "huey's take + run, one by one", drained)


def dispatch() -> Iterator[Figure]:
    """From the queue to a trivial application in process, and to a trivial server over HTTP."""
    count = 20_000
    in_process = _dispatch_rate(count, "benchmarks.handlers:wsgi")
    huey_count = 5_000
    with stores.directory() as where:
        huey = peers.HueyPeer(where / "huey.db")
        huey.add(huey_count)
        drained = rate(huey_count, lambda: huey.drain(huey_count))
    yield at_least("dispatch, in-process WSGI", in_process, 3_000, "huey's take + run of a no-op", drained)
    with _server() as url:
        bare = asyncio.run(_bare_http(url, count // 4))
        over_http = _dispatch_rate(count, url)
    yield at_least("dispatch, HTTP", over_http, 2_000, "bare aiohttp loop, same handler", bare)


def flat() -> Iterator[Figure]:
    """Each figure with a thousand and with a million tasks stored."""
    with stores.directory() as where:
        few, many = (_figures_with(where / f"{stored}.db", stored) for stored in (_FEW, _MANY))
    for name, at_few in few.items():
        ratio = at_few / many[name]
        text = f"{name}: 1,000 stored over 1,000,000 stored"
        compared = f"{at_few:,.0f}/s and {many[name]:,.0f}/s"
        yield Figure(text, ratio, "x", f"<= {_FLAT}", ratio <= _FLAT, compared)


def _figures_with(path: Path, stored: int) -> dict[str, float]:
    count = 5_000
    with stores.runtime(path, targets={"default": "benchmarks.handlers:wsgi"}) as opened:
        stores.fill(opened, "push", stored, "POST")
        stores.fill(opened, "pull", max(stored, 4 * count), "PULL")
        figures = {"add": median_rate(count, lambda: _add_batches(count))}
        figures["lease + delete"] = median_rate(count, lambda: _lease_batches(count))
        if stored < 4 * count:
            stores.fill(opened, "push", 4 * count - stored, "POST")
        figures["dispatch"] = drain(opened, 4 * count)
    return figures


def _add_batches(count: int) -> None:
    queue = taskqueue.Queue("push")
    for _ in range(count // _BATCH):
        queue.add([taskqueue.Task(url="/work", payload=stores.PAYLOAD) for _ in range(_BATCH)])


def _add_single(count: int) -> None:
    for _ in range(count):
        taskqueue.add(url="/work", payload=stores.PAYLOAD, queue_name="push")


def _lease_batches(count: int) -> None:
    queue = taskqueue.Queue("pull")
    for _ in range(count // _BATCH):
        tasks = queue.lease_tasks(600, _BATCH)
        if len(tasks) != _BATCH:
            raise RuntimeError(f"leased {len(tasks)} of {_BATCH}")
        queue.delete_tasks(tasks)


def _dispatch_rate(count: int, target: str) -> float:
    with stores.directory() as where, stores.runtime(where / "push.db", targets={"default": target}) as opened:
        stores.fill(opened, "push", count, "POST")
        return drain(opened, count)


async def _bare_http(url: str, count: int) -> float:
    """An aiohttp client without any queue: what the handler and the loop can do."""
    gate = asyncio.Semaphore(100)
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            async with gate, session.post(f"{url}/work", data=stores.PAYLOAD) as answer:
                await answer.read()

        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(count)))
        return count / (time.perf_counter() - begun)


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """The trivial handler in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.handlers"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
