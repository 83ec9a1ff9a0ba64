"""Deletes tasks by name, and purges queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.engine.catalog import Catalog, kind_of
from gae_broker.engine.stamps import Stamps
from gae_broker.engine.succession import Mover
from gae_broker.errors import StorageError
from gae_broker.ports import Browser, Clock, Deletion, Ledger
from gae_broker.settings import Settings

_US = 1_000_000
_CHUNK = 1000


class Remover:
    """Removes tasks.

    Args:
        browser: a broker, to look tasks up and discard them.
        ledger: where deletions are recorded.
        catalog: which queues there are.
        clock, stamps: times, and purge marks.
        mover: discards copies.
        settings: how long names stay taken.
    """

    def __init__(
        self,
        *,
        browser: Browser,
        ledger: Ledger,
        catalog: Catalog,
        clock: Clock,
        stamps: Stamps,
        mover: Mover,
        settings: Settings,
    ) -> None:
        self._browser = browser
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock
        self._stamps = stamps
        self._mover = mover
        self._tombstone_us = round(settings.tombstone_s * _US)

    def delete(self, queue: str, names: Sequence[str]) -> list[bool]:
        """Delete tasks, leased ones too; a push task under way ends, but is not tried again.

        Returns:
            Whether each existed and was deleted by this call. A broker that cannot look tasks up (RabbitMQ) is
            believed to have had any task of which nothing is known.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: broker or ledger did not answer; some may be deleted.
        """
        config = self._catalog.get(queue)
        answers: list[bool] = []
        for start in range(0, len(names), _CHUNK):
            answers += self._delete(config, names[start : start + _CHUNK])
        return answers

    def purge(self, queue: str) -> None:
        """Remove every task, leased and delayed ones too; their names stay taken as if they were deleted.

        Tasks added while it works may go too.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: broker or ledger did not answer; some tasks may be gone, call it again.
        """
        config = self._catalog.get(queue)
        self._mark_purged(queue)
        self._browser.purge(kind_of(config), queue)
        # What was added meanwhile is gone from the broker too: its names must not look as if they were live.
        self._mark_purged(queue)

    def _mark_purged(self, queue: str) -> None:
        now_us = self._clock.now_us()
        self._ledger.purge(queue, self._stamps.purged_us(queue), now_us, now_us + self._tombstone_us)

    def _delete(self, config: Queue, names: Sequence[str]) -> list[bool]:
        kind = kind_of(config)
        now_us = self._clock.now_us()
        until_us = now_us + self._tombstone_us
        messages = self._browser.find(kind, config.name, names)
        if messages is None:
            outcomes = self._record(config.name, names, now_us, until_us, make=True)
            return [outcomes[name] is not Deletion.GONE for name in names]
        found = {name: there for name, there in messages.items() if there}
        chosen = [name for name in names if name in found and not any(map(wire.is_named, found[name]))]
        apart = set(chosen)
        # Only what exists gets a row: deleting an unknown task does not take its name. Nor does a name that was
        # chosen stay taken: nobody will ever ask for it, and a row for each such task would be a burden.
        outcomes = self._record(config.name, chosen, now_us, now_us, make=True)
        named = [name for name in names if name in found and name not in apart]
        outcomes |= self._record(config.name, named, now_us, until_us, make=True)
        outcomes |= self._record(config.name, [n for n in names if n not in found], now_us, until_us, make=False)
        unrecorded = [name for name in found if outcomes[name] is Deletion.UNKNOWN]
        existed = self._unpurged(config.name, unrecorded, found)
        copies = [message.copy_id for there in found.values() for message in there]
        if copies:
            self._mover.discard(kind, config.name, copies)
        return [outcomes[name] is Deletion.DELETED or name in existed for name in names]

    def _record(
        self, queue: str, names: Sequence[str], now_us: int, until_us: int, *, make: bool
    ) -> dict[str, Deletion]:
        if not names:
            return {}
        outcomes = self._ledger.delete(queue, names, now_us, until_us, make)
        return dict(zip(names, outcomes, strict=True))

    def _unpurged(self, queue: str, names: Sequence[str], found: Mapping[str, list[Message]]) -> set[str]:
        """Those of these names, of which the ledger knew nothing, that a purge did not remove before."""
        if not names:
            return set()
        purged_us = self._ledger.control(queue).purged_us
        return {name for name in names if any(_created_us(message) > purged_us for message in found[name])}


def _created_us(message: Message) -> int:
    try:
        return wire.decode(message).content.created_us
    except StorageError:
        return 0
