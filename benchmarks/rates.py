"""How well a queue's rate is kept: a burst of bucket_size first, then exactly the rate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks import handlers, stores
from benchmarks.measure import Figure
from gae_broker.engine.dispatcher import Dispatcher

_SECONDS = 30.0
_BURST_WINDOW_S = 0.05
_TOLERANCE_PERCENT = 1.0


def kept() -> Iterator[Figure]:
    """100/s with a bucket of 20, and 500/s with a bucket of 100, for 30 seconds each."""
    for per_second, bucket in ((100, 20), (500, 100)):
        yield from _one(per_second, bucket)


def _one(per_second: int, bucket: int) -> Iterator[Figure]:
    queues = f"queue:\n- name: push\n  rate: {per_second}/s\n  bucket_size: {bucket}\n  max_concurrent_requests: 400\n"
    needed = int(per_second * _SECONDS) + 2 * bucket
    handlers.arrivals.clear()
    targets = {"default": "benchmarks.handlers:stamping"}
    with stores.directory() as where, stores.runtime(where / "rate.db", queues, targets) as opened:
        stores.fill(opened, "push", needed, "POST")

        async def run() -> None:
            dispatcher = Dispatcher(opened, observer=handlers.CountingObserver(needed))
            running = asyncio.create_task(dispatcher.run())
            await asyncio.sleep(_SECONDS + 1.0)
            dispatcher.stop()
            await running

        asyncio.run(run())
    first = handlers.arrivals[0]
    burst = sum(at - first < _BURST_WINDOW_S for at in handlers.arrivals)
    whole = sum(at - first < _SECONDS for at in handlers.arrivals)
    off = 100.0 * ((whole - bucket) / (per_second * _SECONDS) - 1.0)
    name = f"rate {per_second}/s over 30 s, bucket {bucket}"
    yield Figure(f"{name}: off by", off, "%", "within 1", abs(off) <= _TOLERANCE_PERCENT, "the configured rate")
    refilled = per_second * _BURST_WINDOW_S
    met = bucket <= burst <= bucket + refilled + 1
    compared = f"the bucket, and {refilled:.0f} refilled in that time"
    yield Figure(f"{name}: tasks in the first 50 ms", burst, "tasks", f"{bucket} + refill", met, compared)
