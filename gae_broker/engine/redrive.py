"""Exhausted tasks: shows them, runs them again, or does away with them.

Running one again is an add under the task's own name: the name is claimed, the copy published and confirmed, the claim
made live, and only then the dead letter acked. Whatever ends in between leaves the dead letter where it is, or the
task in its queue, or both; the new copy's id follows from the dead letter's, so that both are recognised as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.task import Copy, Kind, Progress
from gae_broker.engine.catalog import Catalog
from gae_broker.engine.enqueue import Enqueuer
from gae_broker.engine.stamps import Stamps
from gae_broker.engine.succession import Mover, Step, Succession
from gae_broker.ports import Broker, Clock, Delivery, Fact, Ledger, State

_PAGE = 500
MOST_HELD = 100_000
"""Dead letters that are looked at and left alone in one run, about a kilobyte each: their contents are not kept."""
_NAMED = 1000
_AGAIN = "-r"
_UNFINISHED = {State.CLAIMED, State.LIVE}
_NOTHING = Message("", Kind.DEAD, "", "", 0, "", b"")


@dataclass(frozen=True, slots=True)
class Dead:
    """One dead letter; ``copy`` is ``None`` where this release cannot read it, and ``error`` says why."""

    name: str
    copy: Copy | None
    error: str = ""

    @property
    def died_us(self) -> int | None:
        """When its last attempt ended; ``None`` where that is not recorded."""
        history = () if self.copy is None else self.copy.progress.history
        return history[-1].ended_us if history else None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant: those to which everything applies that is set.

    Attributes:
        names: the tasks' names; empty: any.
        reason: a part of the reason for which the last attempt failed, whatever the case.
        status: the last answer's status.
        before_us: the last attempt ended before it.
    """

    names: frozenset[str] = frozenset()
    reason: str = ""
    status: int | None = None
    before_us: int | None = None

    def has(self, dead: Dead) -> bool:
        """Whether a dead letter is meant."""
        if self.names and dead.name not in self.names:
            return False
        progress = Progress() if dead.copy is None else dead.copy.progress
        if self.reason.casefold() not in (progress.reason or dead.error).casefold():
            return False
        if self.status is not None and progress.last_status != self.status:
            return False
        return self.before_us is None or (dead.died_us is not None and dead.died_us < self.before_us)


@dataclass(slots=True)
class Report:
    """What a run did.

    Attributes:
        looked: dead letters looked at.
        done: how many were redriven or deleted; of a dry run, would be.
        names: the first of them.
        kept: of those that were meant and are still dead, how many for which reason.
        missing: names that were asked for and not found.
        cut: whether it ended before it had looked at all, as it left too many alone.
    """

    looked: int = 0
    done: int = 0
    names: list[str] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    missing: set[str] = field(default_factory=set)
    cut: bool = False

    def did(self, found: Sequence[Dead]) -> None:
        """Count what was done."""
        self.done += len(found)
        self.names += [dead.name for dead in found[: _NAMED - len(self.names)]]


_Entry = tuple[Delivery, Dead]
_Dispose = Callable[[list[_Entry], Report], list[_Entry]]
"""Does something about dead letters; those that may be acked."""


class Redriver:
    """Works on the dead letters of queues, page by page.

    Args:
        broker: where they lie.
        ledger: what is known of the tasks.
        catalog: which queues there are.
        clock, stamps: times, and creation times.
        enqueuer: adds.
        mover: replaces a copy that is still the live one.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        ledger: Ledger,
        catalog: Catalog,
        clock: Clock,
        stamps: Stamps,
        enqueuer: Enqueuer,
        mover: Mover,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._catalog = catalog
        self._clock = clock
        self._stamps = stamps
        self._enqueuer = enqueuer
        self._mover = mover

    def dead(self, queue: str, selection: Selection, limit: int) -> list[Dead]:
        """The first ``limit`` dead letters that are meant; all stay where they are.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: the broker did not answer.
        """
        self._catalog.get(queue)
        found: list[Dead] = []

        def keep(entries: list[_Entry], _: Report) -> list[_Entry]:
            found.extend(dead for _, dead in entries)
            return []

        self._walk(queue, selection, keep, lambda report: report.cut or len(found) >= limit)
        return found[:limit]

    def redrive(self, queue: str, selection: Selection, *, dry_run: bool = False) -> Report:
        """Put tasks back into their queue, due now, as if they had never been tried.

        Those that died while it runs are left for another run. A task that was deleted by its name since is only
        run again where the selection names it.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: broker or ledger did not answer; what was not put back is still dead, run it again.
        """
        self._catalog.get(queue)

        def act(entries: list[_Entry], report: Report) -> list[_Entry]:
            return self._put_back(queue, entries, report, explicit=bool(selection.names))

        return self._walk(queue, selection, _pretend if dry_run else act)

    def delete(self, queue: str, selection: Selection) -> Report:
        """Remove dead letters for good.

        Raises:
            UnknownQueueError: there is no such queue.
            TransientError: the broker did not answer; some may be gone.
        """
        self._catalog.get(queue)
        return self._walk(queue, selection, _all)

    def _walk(
        self, queue: str, selection: Selection, dispose: _Dispose, enough: Callable[[Report], bool] = lambda r: r.cut
    ) -> Report:
        """Look at each dead letter that is there now, once: what is left alone is held until the end."""
        report = Report(missing=set(selection.names))
        there = self._broker.depth(Kind.DEAD, queue).ready
        held: list[Delivery] = []
        try:
            while report.looked < there and not enough(report):
                page = self._broker.get(Kind.DEAD, queue, min(_PAGE, there - report.looked))
                if not page:
                    break
                report.looked += len(page)
                done: list[Delivery] = []
                try:
                    chosen = [entry for entry in _read(page) if selection.has(entry[1])]
                    report.missing.difference_update(dead.name for _, dead in chosen)
                    done = [delivery for delivery, _ in dispose(chosen, report)] if chosen else []
                    self._broker.ack(done)
                finally:
                    settled = {id(delivery) for delivery in done}
                    held += [replace(one, message=_NOTHING) for one in page if id(one) not in settled]
                report.cut = len(held) >= MOST_HELD and report.looked < there
        finally:
            for start in range(0, len(held), _PAGE):
                self._broker.restore(held[start : start + _PAGE])
        return report

    def _put_back(self, queue: str, entries: list[_Entry], report: Report, *, explicit: bool) -> list[_Entry]:
        facts = self._ledger.facts(queue, [dead.name for _, dead in entries])
        add: list[_Entry] = []
        move: list[_Entry] = []
        over: list[_Entry] = []
        for entry in entries:
            delivery, dead = entry
            fact, copy_id = facts.get(dead.name), delivery.message.copy_id
            if dead.copy is None:
                report.kept[dead.error] += 1
            elif fact is None:
                add.append(entry)
            elif fact.live_copy == copy_id + _AGAIN and fact.state in {State.LIVE, State.DONE}:
                over.append(entry)  # a run before this one put it back, and ended before its ack
            elif fact.live_copy == copy_id and fact.state in _UNFINISHED:
                move.append(entry)  # the broker gave it up, or an older release: the ledger still awaits it
            elif fact.state is State.DELETED and not explicit:
                report.kept["it was deleted by its name; name it to run it again"] += 1
            else:
                add.append(entry)
        done = over + self._add(queue, add, facts, report) + self._move(queue, move, report)
        report.did([dead for _, dead in done])
        return done

    def _add(self, queue: str, entries: list[_Entry], facts: dict[str, Fact], report: Report) -> list[_Entry]:
        if not entries:
            return []
        barred = [dead.name for _, dead in entries if dead.name in facts]
        if barred:
            self._ledger.free(queue, barred)
        answers = self._enqueuer.deliver([self._again(queue, entry) for entry in entries], reserve_all=True)
        for added in answers:
            if added.error is not None:
                report.kept[str(added.error)] += 1
        return [entry for entry, added in zip(entries, answers, strict=True) if added.error is None]

    def _move(self, queue: str, entries: list[_Entry], report: Report) -> list[_Entry]:
        again = [replace(self._again(queue, entry), parent=entry[0].message.copy_id) for entry in entries]
        successions = [Succession(entry[0].message.copy_id, new, 0) for entry, new in zip(entries, again, strict=True)]
        steps, error = self._mover.move(queue, successions)
        for step in steps:
            if step is not Step.MOVED:
                report.kept[str(error) if step is Step.UNSTORED else "it was changed just now; try again"] += 1
        return [entry for entry, step in zip(entries, steps, strict=True) if step is Step.MOVED]

    def _again(self, queue: str, entry: _Entry) -> Copy:
        """The copy that takes a dead letter's place, created now: a purge since then is not meant for it."""
        delivery, dead = entry
        assert dead.copy is not None  # noqa: S101 - the unreadable were sorted out
        content = replace(dead.copy.content, created_us=self._stamps.created_us(queue))
        return Copy(delivery.message.copy_id + _AGAIN, queue, content, self._clock.now_us())


def _read(page: Sequence[Delivery]) -> Iterator[_Entry]:
    for delivery in page:
        message = delivery.message
        try:
            yield delivery, Dead(message.key, wire.decode(message))
        except errors.StorageError as exc:
            yield delivery, Dead(message.key, None, str(exc))


def _pretend(entries: list[_Entry], report: Report) -> list[_Entry]:
    report.did([dead for _, dead in entries])
    return []


def _all(entries: list[_Entry], report: Report) -> list[_Entry]:
    report.did([dead for _, dead in entries])
    return entries
