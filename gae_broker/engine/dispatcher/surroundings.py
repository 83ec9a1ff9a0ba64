"""What all lanes of a dispatcher share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from gae_broker.domain.queue import Queue
from gae_broker.engine.delivery import Settled
from gae_broker.engine.dispatcher.condition import Condition
from gae_broker.engine.dispatcher.events import Observer, event_of
from gae_broker.engine.dispatcher.pacer import Pacer
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.targets.routing import Targets
from gae_broker.errors import LedgerUnavailableError

_log = logging.getLogger("gae_broker.dispatch")
T = TypeVar("T")


def monotonic_us() -> int:
    """The pacers' time: it only goes forward, whatever happens to the clock on the wall."""
    return time.monotonic_ns() // 1000


@dataclass(slots=True)
class QueueState:
    """What is known of a queue beyond one subscription to it.

    Attributes:
        queue: as it is configured now.
        pacer: its bucket, throttle and figures.
        in_hand: deliveries received and neither settled nor returned.
        epoch: number of this dispatcher's latest ownership, 0 before the first.
    """

    queue: Queue
    pacer: Pacer
    in_hand: int = 0
    epoch: int = 0

    def configure(self, queue: Queue) -> None:
        """Apply a changed queue.yaml."""
        self.queue = queue
        self.pacer.configure(queue)


@dataclass(slots=True)
class Surroundings:
    """What a lane works with.

    Attributes:
        owner: how this dispatcher calls itself in the ledger.
        executor: threads for what blocks.
    """

    runtime: Runtime
    targets: Targets
    observer: Observer
    executor: Executor
    owner: str
    ledger: Condition = field(default_factory=lambda: Condition("ledger", "dispatching is held"))
    broker: Condition = field(default_factory=lambda: Condition("broker", "what is done is kept"))

    async def off_loop(self, call: Callable[[], T]) -> T:
        """Run something that blocks in another thread."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, call)

    def failed(self, error: Exception) -> None:
        """Broker or ledger did not do their part."""
        (self.ledger if isinstance(error, LedgerUnavailableError) else self.broker).failed(error)

    def tell(self, settled: Settled) -> None:
        """Tell the observer; its faults are its own."""
        try:
            self.observer.attempted(event_of(settled))
        except Exception:  # noqa: BLE001 - a log line or a metric is not worth a task
            _log.exception("the observer failed")
