"""Finishes what crashed adds left behind, and forgets what is needed no more."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gae_broker import errors
from gae_broker.domain.task import Kind
from gae_broker.engine.catalog import Catalog, kind_of
from gae_broker.engine.notes import Notes
from gae_broker.engine.succession import keep_after_us
from gae_broker.ports import Broker, Claim, Clock, Ledger
from gae_broker.settings import Settings

_log = logging.getLogger(__name__)
_US = 1_000_000
_BATCH = 200
_PRUNED_AT_ONCE = 500
_PRUNING_S = 2.0
"""How long one run may forget rows: many more then than any load makes in the ten seconds until the next."""

_LOOK_US = 20 * _US
_LATE_US = 60 * _US
"""A queue that is found empty was read up to this long ago: what was in a worker's hands just then may come back."""


@dataclass(frozen=True, slots=True)
class Housework:
    """What one run did: claims made live (``completed``) or given up (``released``), rows forgotten (``pruned``)."""

    completed: int = 0
    released: int = 0
    pruned: int = 0


class Housekeeper:
    """Does the regular work that belongs to no call. It has no thread; whoever runs long calls it every few seconds.

    Any number of processes may, at the same time.

    Args:
        broker: where unfinished adds are published.
        ledger: where they are found.
        clock: the time.
        catalog: which queues there are.
        notes: written with each run.
        settings: when an add counts as unfinished.
    """

    def __init__(
        self, broker: Broker, ledger: Ledger, clock: Clock, catalog: Catalog, notes: Notes, settings: Settings
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._catalog = catalog
        self._notes = notes
        self._looked_us = 0
        self._deadline_s = settings.publish_deadline_s
        self._takeover_us = round(settings.claim_takeover_s * _US)

    def run_once(self) -> Housework:
        """Publish what stale claims keep, under the same copy ids, and prune; a bounded amount of both.

        Raises:
            TransientError: broker or ledger did not answer; call it again later.
        """
        completed, released = self._sweep()
        self._look()
        self._notes.flush()
        return Housework(completed, released, self._prune())

    def _sweep(self) -> tuple[int, int]:
        claims = self._ledger.stale_claims(self._clock.now_us() - self._takeover_us, _BATCH)
        by_address: dict[tuple[Kind, str], list[Claim]] = defaultdict(list)
        for claim in claims:
            by_address[claim.message.kind, claim.message.queue].append(claim)
        completed = released = 0
        for (kind, queue), group in by_address.items():
            stored, refused = self._store(kind, queue, group)
            if stored:
                now_us = self._clock.now_us()
                self._ledger.confirm(queue, stored, now_us, keep_after_us(self._broker, kind, now_us))
            if refused:
                self._ledger.release(queue, refused)
            completed += len(stored)
            released += len(refused)
        return completed, released

    def _store(
        self, kind: Kind, queue: str, claims: Sequence[Claim]
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Publish what is not stored yet: (name, copy_id) of what is stored then, and of what the queue refuses."""
        found = self._broker.find(kind, queue, [claim.message.key for claim in claims]) or {}
        there = {message.copy_id for messages in found.values() for message in messages}
        missing = [claim for claim in claims if claim.message.copy_id not in there]
        results = self._broker.publish([claim.message for claim in missing], self._deadline_s) if missing else []
        outcome = dict(zip((claim.message.copy_id for claim in missing), results, strict=True))
        stored: list[tuple[str, str]] = []
        refused: list[tuple[str, str]] = []
        for claim in claims:
            error = outcome.get(claim.message.copy_id)
            entry = (claim.message.key, claim.message.copy_id)
            if error is None:
                stored.append(entry)
            elif isinstance(error, errors.UnknownQueueError):
                refused.append(entry)
            else:
                _log.warning("task %s of queue %s waits for another try: %s", claim.message.key, queue, error)
        return stored, refused

    def _look(self) -> None:
        """Keep watch: whether the broker works, and which queues hold nothing that is due.

        Every process does, as one that looked a moment ago may be gone by now.
        """
        now_us = self._clock.now_us()
        if now_us - self._looked_us < _LOOK_US:
            return
        works = False
        for queue in self._catalog.queues():
            try:
                empty = self._holds_nothing_due(kind_of(queue), queue.name, now_us)
            except errors.UnknownQueueError:
                continue
            works = True
            if empty:
                self._notes.seen(queue.name, now_us - _LATE_US)
        if works:
            self._ledger.alive(now_us)
        self._looked_us = now_us

    def _holds_nothing_due(self, kind: Kind, queue: str, now_us: int) -> bool:
        first = self._broker.browse(kind, queue, 1, None)
        if first is None:
            return self._broker.depth(kind, queue).ready == 0
        return not first or first[0].due_us > now_us

    def _prune(self) -> int:
        pruned = 0
        end_s = time.monotonic() + _PRUNING_S
        while time.monotonic() < end_s:
            count = self._ledger.prune(self._clock.now_us(), _PRUNED_AT_ONCE)
            pruned += count
            if count < _PRUNED_AT_ONCE:
                break
        return pruned
