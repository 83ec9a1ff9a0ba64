"""A process with a pool, for a test to kill: prints its workers' pids and runs until it is ended."""

from __future__ import annotations

import asyncio
import sys

from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.setting_values import Processes
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.targets.pool import PoolTarget
from gae_broker.engine.targets.target import Job


async def main(busy: str) -> None:
    pool = PoolTarget("tests.integration.pool_app:app", Processes(2, 2), 1, SystemClock())
    await pool.open()
    requests = [HttpRequest("GET", "/pid", (), b"", None, 60_000_000) for _ in range(2)]
    futures = [asyncio.get_running_loop().create_future() for _ in requests]
    pool.start([Job(request, future.set_result) for request, future in zip(requests, futures, strict=True)])
    pids = [(await future).body_excerpt.decode() for future in futures]
    if busy == "busy":
        pool.start([Job(HttpRequest("GET", "/await?/no/such", (), b"", None, 10**9), print) for _ in pids])
        await asyncio.sleep(0.2)
    sys.stdout.write(" ".join(pids) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
