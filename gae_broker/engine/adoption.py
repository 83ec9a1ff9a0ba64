"""Takes over push tasks of a queue that was switched to pull mode: App Engine leases them as pull tasks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from gae_broker import errors
from gae_broker.domain.queue import QueueFile
from gae_broker.domain.task import PULL, Content, Kind
from gae_broker.engine.catalog import Catalog
from gae_broker.engine.intake import Verdict, judge, read
from gae_broker.engine.names import Namer
from gae_broker.engine.succession import Mover, Step, Succession
from gae_broker.ports import Broker, Clock, Control, Delivery, Ledger

_log = logging.getLogger(__name__)


class Adopter:
    """Moves due tasks from a queue's push side to its pull side.

    Args:
        broker: has both.
        ledger: the facts.
        catalog: a change of it is what makes another look at the push side worthwhile.
        clock, namer: times and copy ids.
        mover: replaces copies.
    """

    def __init__(
        self, broker: Broker, ledger: Ledger, catalog: Catalog, clock: Clock, namer: Namer, mover: Mover
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock
        self._namer = namer
        self._mover = mover
        self._without: dict[str, QueueFile] = {}

    def adopt(self, queue: str, control: Control, limit: int) -> int:
        """Turn up to ``limit`` due push tasks of a pull queue into pull tasks; how many.

        Headers, url and the rest that only a dispatch needs are dropped, eta and attempts stay. If broker or
        ledger do not answer, the tasks stay where they are; as nobody asked for this, nobody is told but the log.
        """
        if self._without.get(queue) is self._catalog.file:
            return 0
        try:
            if not self._broker.depth(Kind.PUSH, queue).ready:
                return 0
            return self._adopt(queue, self._broker.get(Kind.PUSH, queue, limit), control)
        except errors.UnknownQueueError:
            self._without[queue] = self._catalog.file
        except errors.TransientError as exc:
            _log.warning("push tasks of queue %s, a pull queue now, were not taken over: %s", queue, exc)
        return 0

    def _adopt(self, queue: str, deliveries: Sequence[Delivery], control: Control) -> int:
        settled: list[Delivery] = []
        try:
            void, successions = self._sort(queue, deliveries, control)
            settled += void
            steps, _ = self._mover.move(queue, [succession for _, succession in successions])
            settled += [d for (d, _), step in zip(successions, steps, strict=True) if step is not Step.UNSTORED]
            return steps.count(Step.MOVED)
        finally:
            self._settle(deliveries, settled)

    def _sort(
        self, queue: str, deliveries: Sequence[Delivery], control: Control
    ) -> tuple[list[Delivery], list[tuple[Delivery, Succession]]]:
        """What may be removed, and what takes the others' place."""
        now_us = self._clock.now_us()
        known = self._ledger.facts(queue, [delivery.message.key for delivery in deliveries])
        copies, _ = read(deliveries)
        facts = self._mover.record(queue, [copy for _, copy in copies], known)
        void: list[Delivery] = []
        successions: list[tuple[Delivery, Succession]] = []
        for delivery, old in copies:
            if judge(old, facts.get(old.name), control.purged_us, now_us) in {Verdict.VOID, Verdict.PURGED}:
                void.append(delivery)
                continue
            new = old.successor(self._namer.copy_id(), old.eta_us, old.progress)
            new = replace(new, content=_as_pull_task(old.content))
            successions.append((delivery, Succession(old.copy_id, new, old.progress.tries)))
        return void, successions

    def _settle(self, deliveries: Sequence[Delivery], settled: Sequence[Delivery]) -> None:
        done = {id(delivery) for delivery in settled}
        if settled:
            self._broker.ack(settled)
        rest = [delivery for delivery in deliveries if id(delivery) not in done]
        if rest:
            self._broker.restore(rest)


def _as_pull_task(content: Content) -> Content:
    return replace(content, method=PULL, url="", headers=(), retry=None, deadline_us=None, target=None)
