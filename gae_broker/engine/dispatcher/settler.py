"""Brings ended attempts back to broker and ledger: in batches, off the loop, again and again until it is done."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.queue import Queue
from gae_broker.engine.delivery import Attempt, Deliverer, Hands, Settled, needs_ack_only
from gae_broker.errors import Error
from gae_broker.ports import Delivery

_BATCH = 1000
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_PATIENCE_S = 5.0

_log = logging.getLogger("gae_broker.dispatch")
T = TypeVar("T")


class Desk(Protocol):
    """Whoever the settler works for."""

    @property
    def is_lost(self) -> bool:
        """Whether the subscription ended by itself."""

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

    Args:
        desk: whoever it works for.
        deliverer: settles.
        hands: restores.
        ack_waits: as `Subscription.ack_waits`. A batch that needs nothing but acks which do not wait is settled on the
            loop: of a fast queue the way through another thread would take longer than all the rest.
    """

    def __init__(self, desk: Desk, deliverer: Deliverer, hands: Hands, *, ack_waits: bool) -> None:
        self._desk = desk
        self._deliverer = deliverer
        self._hands = hands
        self._ack_waits = ack_waits
        self._ended: list[tuple[Attempt, Outcome]] = []
        self._recorded: list[Settled] = []
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
        while (self._ended or self._recorded or self._undone) and not self._stopping.is_set():
            steps = (self._settle_batch, self._ack_batch, self._restore_batch)
            # Each by itself: what one of them cannot do must not hold up the others.
            if all([await self._try(step) for step in steps]):
                pause_s = _FIRST_PAUSE_S
            elif self._desk.is_lost:
                self._drop()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _try(self, step: Callable[[], Awaitable[Exception | None]]) -> bool:
        """Do a step; whether it went well."""
        error = await step()
        if error is None:
            return True
        if not isinstance(error, Error):
            _log.error("a step of settling failed and is tried again", exc_info=error)
        self._desk.failed(error)
        return False

    async def _settle_batch(self) -> Exception | None:
        batch, self._ended = self._ended[:_BATCH], self._ended[_BATCH:]
        if not batch:
            return None
        queue = self._desk.queue
        try:
            if not self._ack_waits and all(needs_ack_only(*ended) for ended in batch):
                results = self._deliverer.settle(queue, batch)
            else:
                results = await self._desk.off_loop(lambda: self._deliverer.settle(queue, batch))
        except Exception as exc:  # noqa: BLE001 - whatever it is, these attempts were made and must not be forgotten
            self._ended.extend(batch)
            return exc
        failed = [result for result in results if result.error is not None]
        self._recorded.extend(result for result in failed if result.is_recorded)
        self._ended.extend((result.attempt, result.outcome) for result in failed if not result.is_recorded)
        self._desk.settled([result for result in results if result.error is None])
        return failed[0].error if failed else None

    async def _ack_batch(self) -> Exception | None:
        batch, self._recorded = self._recorded, []
        if not batch:
            return None
        try:
            await self._desk.off_loop(lambda: self._deliverer.ack(batch))
        except Exception as exc:  # noqa: BLE001 - as above
            self._recorded.extend(batch)
            return exc
        self._desk.settled(batch)
        return None

    async def _restore_batch(self) -> Exception | None:
        batch, self._undone = self._undone, []
        if not batch:
            return None
        try:
            await self._desk.off_loop(lambda: self._hands.restore(batch))
        except Exception as exc:  # noqa: BLE001 - as above
            self._undone.extend(batch)
            return exc
        self._desk.returned(len(batch))
        return None

    def _drop(self) -> None:
        """The subscription is gone, so nothing of it can be acked any more: the broker has everything back."""
        count = len(self._ended) + len(self._recorded) + len(self._undone)
        self._ended, self._recorded, self._undone = [], [], []
        self._desk.returned(count)
