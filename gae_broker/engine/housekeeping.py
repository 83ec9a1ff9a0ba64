"""Finishes what crashed adds left behind, and forgets what is needed no more."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gae_broker import errors
from gae_broker.domain.task import Kind
from gae_broker.ports import Broker, Claim, Clock, Ledger
from gae_broker.settings import Settings

_log = logging.getLogger(__name__)
_US = 1_000_000
_BATCH = 200
_ROUNDS = 50


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
        settings: when an add counts as unfinished.
    """

    def __init__(self, broker: Broker, ledger: Ledger, clock: Clock, settings: Settings) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._deadline_s = settings.publish_deadline_s
        self._takeover_us = round(settings.claim_takeover_s * _US)

    def run_once(self) -> Housework:
        """Publish what stale claims keep, under the same copy ids, and prune; a bounded amount of both.

        Raises:
            TransientError: broker or ledger did not answer; call it again later.
        """
        completed, released = self._sweep()
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
                self._ledger.confirm(queue, stored, self._clock.now_us())
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

    def _prune(self) -> int:
        pruned = 0
        for _ in range(_ROUNDS):
            count = self._ledger.prune(self._clock.now_us(), _BATCH)
            pruned += count
            if count < _BATCH:
                break
        return pruned
