"""Carries tasks from an application's database, where its transactions left them, into their queues.

A task is a row of the application's own transaction, so it is there if, and only if, that was committed. A relay
claims the first rows of a queue, enqueues their tasks and removes the rows, in this order: whatever ends it in
between, the rows are still there, and are claimed again when the claim has run out. So a task may be enqueued twice,
under one copy id, and is never lost.

One claim at a time holds for each queue, and it covers the queue's first rows, whence the order: rows are enqueued as
they were added, those of transactions that overlap in time in some order. Only a task that the broker refuses, of
several sent to it together, comes after its successors: a queue does not wait for it.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.engine import runtime
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.transactions import Enlisted
from gae_broker.ports import Outbox, OutboxRow, Place, RowClaim

_US = 1_000_000
_CLAIM_EXTRA_S = 20.0
"""What else than publishing a relay does under its claim: reserving names and storing payloads in the ledger."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """What one run did.

    Attributes:
        tasks: how many were enqueued.
        left: whether rows are left that it saw: another relay holds them, or their tasks were refused.
        error: why the first of those that were refused was.
    """

    tasks: int = 0
    left: bool = False
    error: Exception | None = None

    def __add__(self, other: Relayed) -> Relayed:
        return Relayed(self.tasks + other.tasks, self.left or other.left, self.error or other.error)


class Relay:
    """Empties an outbox, whenever it is told to; see the module for what it promises.

    Args:
        outbox: what to empty.
        into: the runtime to enqueue with, asked for when there is a row; the process's by default.
    """

    def __init__(self, outbox: Outbox, into: Callable[[], Runtime] = runtime.current) -> None:
        self._outbox = outbox
        self._into = into
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._turn = threading.Lock()

    def run(
        self, queues: Iterable[str] | None = None, *, batches: int | None = None, patience_s: float = -1
    ) -> Relayed:
        """Enqueue what there is. One thread of a process does so at a time, as only one could claim anyway.

        Args:
            queues: of these queues; ``None``: of all.
            batches: claim at most so many times for each queue; ``None``: until nothing is there.
            patience_s: how long to wait for this process's other threads; -1: until they are done. Who gives up
                leaves what there is.

        Raises:
            OutboxUnavailableError: the database did not answer; what was enqueued may be enqueued again.
            ConfigurationError, StorageError, TransientError: there is no runtime to enqueue with.
        """
        if self._pid != os.getpid():  # a forked child; who has the turn in its parent is none of its threads
            self._forget()
        if not self._turn.acquire(timeout=patience_s):
            return Relayed(left=True)
        try:
            relayed = Relayed()
            for queue in self._outbox.queues() if queues is None else queues:
                relayed += self._run_queue(queue, batches)
            return relayed
        finally:
            self._turn.release()

    def _run_queue(self, queue: str, batches: int | None) -> Relayed:
        relayed = Relayed()
        while batches is None or batches > 0:
            batch = self._batch(queue)
            relayed += batch
            if relayed.left or not batch.tasks:
                return relayed
            batches = None if batches is None else batches - 1
        return relayed + Relayed(left=True)

    def _batch(self, queue: str) -> Relayed:
        into = self._into()
        now_us = into.clock.now_us()
        hold_us = round((2 * into.settings.publish_deadline_s + _CLAIM_EXTRA_S) * _US)
        token = secrets.token_hex(8)
        claimed = self._outbox.claim(queue, RowClaim(token, now_us, now_us + hold_us))
        if not claimed.rows:
            return Relayed(left=claimed.held)
        done: list[Place] = []
        try:
            failures = self._deliver(into, claimed.rows)
            done = [row.place for row, error in zip(claimed.rows, failures, strict=True) if error is None]
        finally:
            # Released first: were it the other way round, a failure in between would hold up the queue for long.
            stay = [row.place for row in claimed.rows if row.place not in set(done)]
            if stay:
                self._outbox.release(token, stay)
        if done:
            self._outbox.forget(token, done)
        return Relayed(len(done), bool(stay), next((error for error in failures if error is not None), None))

    def _deliver(self, into: Runtime, rows: Sequence[OutboxRow]) -> list[Exception | None]:
        failures: list[Exception | None] = [None] * len(rows)
        tasks: dict[int, Enlisted] = {}
        for index, row in enumerate(rows):
            try:
                tasks[index] = Enlisted(wire.decode(row.message), row.large)
            except errors.StorageError as exc:  # another release's; it stays for one that can read it
                failures[index] = exc
        delivered = into.enqueuer.deliver_committed(list(tasks.values()))
        for index, error in zip(tasks, delivered, strict=True):
            failures[index] = error
        return failures
