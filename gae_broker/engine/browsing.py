"""Shows the tasks of a queue without taking any, for operators and tests."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Copy, Progress
from gae_broker.engine import refusal
from gae_broker.engine.catalog import Catalog, kind_of
from gae_broker.engine.names import Namer
from gae_broker.engine.succession import Mover, Step, Succession
from gae_broker.ports import Browser, Clock, Fact, Held, Ledger, State

_log = logging.getLogger(__name__)
_PAGE = 500
_LEAST_PAGE = 10


class TaskBrowser:
    """Looks into queues.

    Args:
        browser: the broker, to look into.
        ledger: the facts, and the tagged tasks.
        catalog: which queues there are.
        clock, namer: times and copy ids.
        mover: replaces copies.
    """

    def __init__(
        self,
        *,
        browser: Browser,
        ledger: Ledger,
        catalog: Catalog,
        clock: Clock,
        namer: Namer,
        mover: Mover,
    ) -> None:
        self._browser = browser
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock
        self._namer = namer
        self._mover = mover

    def tasks(self, queue: str, limit: int, after: tuple[int, str] | None = None) -> list[Copy]:
        """The first ``limit`` tasks behind ``after`` in (eta, name) order: waiting, delayed, leased and running ones.

        ``eta_us`` is a leased task's end of lease, ``progress`` what happened to it so far. Where `unlisted` says so,
        only those of which the ledger keeps a copy.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: broker or ledger did not answer.
        """
        config = self._catalog.get(queue)
        tasks = self._stored(config, limit, after) if self._browser.sees_all else self._parked(config, limit, after)
        if config.mode is Mode.PULL:
            tasks += [_held_copy(held) for held in self._ledger.held(queue, limit, after)]
        tasks.sort(key=lambda copy: (copy.eta_us, copy.name))
        return tasks[:limit]

    def unlisted(self, queue: str) -> str:
        """What `tasks` leaves out because the broker cannot list it, as a sentence; ``""``: nothing.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        config = self._catalog.get(queue)
        if self._browser.sees_all:
            return ""
        if config.mode is Mode.PULL:
            return "this broker cannot list tasks: shown are those with a tag"
        return "this broker cannot list tasks: shown are named and retried ones that had over 10 s to wait"

    def find(self, queue: str, name: str) -> Copy | None:
        """A task by its name, ``None`` where there is none.

        Raises:
            UnknownQueueError: there is no such queue.
            UnsupportedError: this broker cannot look tasks up, and the ledger keeps no copy of this one.
            TransientError: broker or ledger did not answer.
        """
        config = self._catalog.get(queue)
        fact = self._ledger.facts(queue, [name]).get(name)
        if fact is not None and fact.held:
            return self._find_held(queue, name, fact)
        found = self._browser.find(kind_of(config), queue, [name])
        if found is None:
            return self._find_parked(config, name, fact)
        purged_us = self._ledger.control(queue).purged_us
        facts = {} if fact is None else {name: fact}
        return next(iter(_live(found.get(name, ()), facts, purged_us)), None)

    def run_now(self, queue: str, name: str) -> Copy:
        """Make a push task's next attempt due now; one that is due already stays as it is.

        Returns:
            The task as it is now.

        Raises:
            UnknownQueueError, InvalidQueueModeError: no such queue, or a pull queue.
            UnknownTaskError: there is no such task.
            UnsupportedError: this broker cannot look tasks up, and the ledger keeps no copy of this one.
            TransientError: broker or ledger did not answer, or the task was changed meanwhile.
        """
        if self._catalog.get(queue).mode is Mode.PULL:
            raise errors.InvalidQueueModeError(f"queue {queue!r} is a pull queue; its tasks are leased, not run")
        old = self.find(queue, name)
        if old is None:
            raise refusal.unknown(queue, name)
        now_us = self._clock.now_us()
        if old.eta_us <= now_us:
            return old
        new = old.successor(self._namer.copy_id(), now_us, old.progress)
        steps, error = self._mover.move(queue, [Succession(old.copy_id, new, 0)])
        if error is not None:
            raise error
        if steps[0] is Step.LOST:
            raise errors.TransientError(f"task {name!r} in queue {queue!r} was changed just now; try again")
        self._mover.discard(kind_of(self._catalog.get(queue)), queue, [old.copy_id])
        return new

    def _stored(self, config: Queue, limit: int, after: tuple[int, str] | None) -> list[Copy]:
        """The broker's live copies; reads on behind a page of void ones."""
        purged_us = self._ledger.control(config.name).purged_us
        tasks: dict[str, Copy] = {}
        size = min(max(limit, _LEAST_PAGE), _PAGE)  # not more than is wanted: payloads may be large
        while len(tasks) < limit:
            page = self._browser.browse(kind_of(config), config.name, size, after)
            if not page:
                break
            facts = self._ledger.facts(config.name, [message.key for message in page])
            for copy in _live(page, facts, purged_us):
                tasks.setdefault(copy.name, copy)
            if len(page) < size:
                break
            after = page[-1].due_us, page[-1].key
        return list(tasks.values())

    def _parked(self, config: Queue, limit: int, after: tuple[int, str] | None) -> list[Copy]:
        """What the ledger keeps copies of."""
        if config.mode is Mode.PULL:
            return []
        messages = self._ledger.list_parked(config.name, limit, after)
        return _live(messages, {}, 0)

    def _find_parked(self, config: Queue, name: str, fact: Fact | None) -> Copy | None:
        """The ledger's copy of a task that the broker cannot look up."""
        if fact is not None and fact.state in {State.DONE, State.DELETED}:
            return None
        found = self._ledger.parked(config.name, [name]) if fact is not None else {}
        if found:
            return next(iter(_live(found.values(), {}, 0)), None)
        known = "the ledger knows nothing of" if fact is None else "the ledger keeps no copy of"
        known += f" task {name!r} in queue {config.name!r}"
        kept = "push tasks with a name of their own, and of retried ones, that have over 10 s to wait"
        if config.mode is Mode.PULL:
            kept = "pull tasks with a tag"
        raise errors.UnsupportedError(f"this broker cannot look tasks up, and {known}: it does so of {kept}")

    def _find_held(self, queue: str, name: str, fact: Fact) -> Copy | None:
        if fact.state is not State.LIVE:
            return None
        place = (fact.eta_us, name[:-1])
        while page := self._ledger.held(queue, _PAGE, place):
            for held in page:
                if held.message.key == name:
                    return _held_copy(held)
                if (held.eta_us, held.message.key) > (fact.eta_us, name):
                    return None
            place = page[-1].eta_us, page[-1].message.key
        return None


def _live(messages: Iterable[Message], facts: dict[str, Fact], purged_us: int) -> list[Copy]:
    copies: list[Copy] = []
    for message in messages:
        fact = facts.get(message.key)
        if fact is not None and (fact.state in {State.DONE, State.DELETED} or fact.live_copy != message.copy_id):
            continue
        try:
            copy = wire.decode(message)
        except errors.StorageError as exc:
            _log.warning("%s", exc)
            continue
        if copy.content.created_us > purged_us:
            copies.append(copy)
    return copies


def _held_copy(held: Held) -> Copy:
    return replace(wire.decode(held.message), eta_us=held.eta_us, progress=Progress(tries=held.leases))
