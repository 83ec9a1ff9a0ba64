"""Runs a dispatcher in this process until it has made so many attempts."""

from __future__ import annotations

import asyncio

from benchmarks.handlers import CountingObserver
from gae_broker.engine.dispatcher import Dispatcher
from gae_broker.engine.runtime import Runtime


def drain(opened: Runtime, count: int) -> float:
    """Dispatch until ``count`` attempts have succeeded; attempts per second between the first and the last."""
    return asyncio.run(_drain(opened, count))


async def _drain(opened: Runtime, count: int) -> float:
    observer = CountingObserver(count)
    dispatcher = Dispatcher(opened, observer=observer)
    running = asyncio.create_task(dispatcher.run())
    done = asyncio.create_task(observer.done.wait())
    await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
    done.cancel()
    dispatcher.stop()
    await running
    return observer.rate
