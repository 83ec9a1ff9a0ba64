"""Brings ended attempts back to broker and ledger: in batches, off the loop, again and again until it is done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.queue import Queue
from gae_broker.engine.delivery import Attempt, Deliverer, Hands, Settled
from gae_broker.errors import Error
from gae_broker.ports import Delivery

_BATCH = 1000
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_PATIENCE_S = 5.0

T = TypeVar("T")


class Desk(Protocol):
    """Whoever the settler works for."""

    @property
    def queue(self) -> Queue:
        """The queue, as it is configured now."""

    async def off_loop(self, call: Callable[[], T]) -> T:
        """Run something that blocks in another thread."""

    def settled(self, batch: list[Settled]) -> None:
        """These attempts are over."""

    def returned(self, count: int) -> None:
        """So many deliveries are back in the queue."""

    def failed(self, error: Exception) -> None:
        """Broker or ledger did not do their part; it will be tried again."""


class Settler:
    """Settles and restores the deliveries of one subscription, one batch at a time.

    While a batch is under way the next one gathers, so batches grow with the load. What fails is tried again, with
    growing pauses, for as long as the process lives: that keeps a finished task from running again.
    """

    def __init__(self, desk: Desk, deliverer: Deliverer, hands: Hands) -> None:
        self._desk = desk
        self._deliverer = deliverer
        self._hands = hands
        self._ended: list[tuple[Attempt, Outcome]] = []
        self._undone: list[Delivery] = []
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt ended."""
        self._ended.append((attempt, outcome))
        self._begin()

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """These deliveries did not begin and go back."""
        self._undone.extend(deliveries)
        if self._undone:
            self._begin()

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Finish the batch under way and give up on the rest; closing the subscription brings it back to the queue."""
        self._stopping.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=_PATIENCE_S)
            self._task.cancel()

    async def _work(self) -> None:
        await asyncio.sleep(0)  # lets those that ended together gather
        pause_s = _FIRST_PAUSE_S
        while (self._ended or self._undone) and not self._stopping.is_set():
            if await self._settle_batch() and await self._restore_batch():
                pause_s = _FIRST_PAUSE_S
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _settle_batch(self) -> bool:
        batch, self._ended = self._ended[:_BATCH], self._ended[_BATCH:]
        if not batch:
            return True
        queue = self._desk.queue
        results = await self._desk.off_loop(lambda: self._deliverer.settle(queue, batch))
        failed = [result for result in results if result.error is not None]
        self._ended.extend((result.attempt, result.outcome) for result in failed)
        self._desk.settled([result for result in results if result.error is None])
        for result in failed[:1]:
            self._desk.failed(result.error or Error())
        return not failed

    async def _restore_batch(self) -> bool:
        batch, self._undone = self._undone, []
        if not batch:
            return True
        try:
            await self._desk.off_loop(lambda: self._hands.restore(batch))
        except Error as exc:
            self._undone.extend(batch)
            self._desk.failed(exc)
            return False
        self._desk.returned(len(batch))
        return True
