"""Brings broker and ledger to what a queue.yaml says: first what differs, then the making, then the removing."""

from __future__ import annotations

from dataclasses import dataclass

from gae_broker.domain.queue import QueueFile
from gae_broker.ports import Action, Broker, Change, Check, Clock, Ledger, Plan

_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of a queue that is wanted no more: ``held`` tasks went with it, or (not ``removed``) kept it."""

    queue: str
    held: int
    removed: bool


class Deployer:
    """Deploys one queue.yaml; `plan` before `apply`, `apply` before `remove`.

    Args:
        broker: opened so that it may declare.
        ledger: its schema may be missing yet.
        clock: the time.
        file: what is wanted.
        tombstone_s: how long the names of a removed queue's tasks stay taken.
    """

    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock, file: QueueFile, tombstone_s: float) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._file = file
        self._tombstone_us = round(tombstone_s * _US)

    def plan(self) -> Plan:
        """What differs on the broker; changes nothing.

        Raises:
            TransientError: the broker did not answer.
        """
        return self._broker.plan(self._file.queues.values())

    def ledger(self) -> list[Check]:
        """The ledger as it is, its schema's version among it; changes nothing."""
        return self._ledger.check()

    def apply(self) -> list[str]:
        """Make what is missing, in the ledger and on the broker; idempotent.

        Returns:
            The paused queues that were resumed, because queue.yaml says ``resume_paused_queues: true``.

        Raises:
            ConfigurationError, PermissionDeniedError: the broker does not allow it.
            TransientError: broker or ledger did not answer; run it again.
        """
        self._ledger.migrate()
        self._broker.declare(self._file.queues.values())
        if not self._file.resume_paused_queues:
            return []
        paused = [name for name in self._file.queues if self._ledger.control(name).paused]
        for name in paused:
            self._ledger.set_paused(name, paused=False)
        return paused

    def remove(self, queue: str, *, force: bool) -> Removal:
        """Remove a queue for good; with ``force`` even if it holds tasks.

        Raises:
            TransientError: broker or ledger did not answer; run it again.
        """
        tagged, _ = self._ledger.held_depth(queue)
        if tagged and not force:
            return Removal(queue, tagged, removed=False)
        held = self._broker.remove(queue, force=force)
        if held and not force:
            return Removal(queue, held, removed=False)
        # What waits in a delay is void from now on, should a queue of this name come back before it is due.
        now_us = self._clock.now_us()
        self._ledger.purge(queue, now_us, now_us, now_us + self._tombstone_us)
        return Removal(queue, held + tagged, removed=True)


def unused(plan: Plan) -> list[Change]:
    """The queues that exist and are not wanted."""
    return [change for change in plan.changes if change.action is Action.UNUSED]
