"""Extends, shortens and ends leases, from any process: whoever knows a task's eta holds its lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.task import Content, Copy, Kind, Progress
from gae_broker.engine import refusal
from gae_broker.engine.names import Namer
from gae_broker.engine.succession import Mover, Step, Succession
from gae_broker.ports import Browser, Clock, Fact, Ledger, State


class LeaseChanger:
    """Changes the eta of pull tasks.

    Args:
        browser: looks tasks up, where it can.
        ledger: knows the live copies, and holds the tagged tasks.
        clock, namer: times and copy ids.
        mover: replaces copies.
    """

    def __init__(self, browser: Browser, ledger: Ledger, clock: Clock, namer: Namer, mover: Mover) -> None:
        self._browser = browser
        self._ledger = ledger
        self._clock = clock
        self._namer = namer
        self._mover = mover

    def change(
        self, queue: str, name: str, expected_eta_us: int | None, lease_us: int, fallback: Content | None
    ) -> int:
        """Give a task another eta, ``lease_us`` from now; see `gae_broker.engine.leasing.Leaser.modify`."""
        control = self._ledger.control(queue)
        if control.paused:
            raise errors.QueuePausedError(f"queue {queue!r} is paused; resume it before changing leases")
        now_us = self._clock.now_us()
        eta_us = now_us + lease_us
        fact = self._ledger.facts(queue, [name]).get(name)
        if fact is not None:
            _require_live(queue, name, fact)
            expected_eta_us = fact.eta_us if expected_eta_us is None else expected_eta_us
            _require_lease(queue, name, fact.eta_us, expected_eta_us, now_us)
        if fact is not None and fact.held:
            if not self._ledger.move_held(queue, name, fact.eta_us, eta_us, now_us):
                raise self._why_lost(queue, name)
            return eta_us
        stored = self._stored(queue, name)
        if fact is not None:
            old = _live_copy(queue, name, fact, stored, fallback, now_us)
        else:
            old = _original(queue, name, stored, control.purged_us, expected_eta_us, fallback, now_us)
            _require_lease(queue, name, old.eta_us, expected_eta_us, now_us)
        self._move(old, eta_us)
        if stored:
            self._mover.discard(Kind.PULL, queue, [copy.copy_id for copy in stored])
        return eta_us

    def _move(self, old: Copy, eta_us: int) -> None:
        new = old.successor(self._namer.copy_id(), eta_us, Progress(tries=old.progress.tries))
        succession = Succession(old.copy_id, new, old.progress.tries, old.eta_us)
        steps, error = self._mover.move(old.queue, [succession])
        if error is not None:
            raise error
        if steps[0] is Step.LOST:
            raise self._why_lost(old.queue, old.name)

    def _stored(self, queue: str, name: str) -> list[Copy] | None:
        """The broker's copies of a task, ``None`` where it cannot tell."""
        found = self._browser.find(Kind.PULL, queue, [name])
        return None if found is None else [wire.decode(message) for message in found.get(name, ())]

    def _why_lost(self, queue: str, name: str) -> Exception:
        """What came in between: the task was removed, or another worker changed its lease."""
        fact = self._ledger.facts(queue, [name]).get(name)
        if fact is None:
            return refusal.unknown(queue, name)
        try:
            _require_live(queue, name, fact)
        except errors.Error as exc:
            return exc
        return errors.TaskLeaseExpiredError(f"the lease of task {name!r} in queue {queue!r} was changed just now")


def _require_live(queue: str, name: str, fact: Fact) -> None:
    if fact.state in {State.DONE, State.DELETED}:
        raise refusal.tombstoned(queue, name, fact)


def _require_lease(queue: str, name: str, eta_us: int, expected_eta_us: int | None, now_us: int) -> None:
    if expected_eta_us is not None and eta_us != expected_eta_us:
        raise errors.TaskLeaseExpiredError(
            f"task {name!r} in queue {queue!r} has the eta {refusal.moment(eta_us)}, not {expected_eta_us} us since "
            "1970 as given: another worker leased it, or its lease was changed",
        )
    if eta_us < now_us:
        raise errors.TaskLeaseExpiredError(
            f"the lease of task {name!r} in queue {queue!r} ended at {refusal.moment(eta_us)}; lease it again",
        )


def _live_copy(
    queue: str,
    name: str,
    fact: Fact,
    stored: Sequence[Copy] | None,
    fallback: Content | None,
    now_us: int,
) -> Copy:
    """The copy to replace of a task that has a row; the row's eta and lease count are the valid ones."""
    content = next((copy.content for copy in stored or () if copy.copy_id == fact.live_copy), None)
    if content is None:
        if fallback is None and stored is not None:
            raise errors.TransientError(f"task {name!r} in queue {queue!r} is being changed; try again")
        if fallback is None:
            raise _not_to_be_seen(queue, name)
        content = _restored(fallback, name, now_us)
    return Copy(fact.live_copy or "", queue, content, fact.eta_us, Progress(tries=fact.leases))


def _original(
    queue: str,
    name: str,
    stored: Sequence[Copy] | None,
    purged_us: int,
    expected_eta_us: int | None,
    fallback: Content | None,
    now_us: int,
) -> Copy:
    """The copy to replace of a task of which the ledger knows nothing.

    A broker that cannot look tasks up is believed to hold it, as the caller describes it.

    Raises:
        UnknownTaskError, TombstonedTaskError: there is none, or it was purged.
        UnsupportedError: the broker cannot look it up, and the caller does not describe it.
    """
    if fallback is not None and fallback.tag is not None:
        raise refusal.unknown(queue, name)  # a tagged task lives in the ledger: without a row there is none
    if stored is None:
        if fallback is None or expected_eta_us is None:
            raise _not_to_be_seen(queue, name)
        return Copy("", queue, _restored(fallback, name, now_us), expected_eta_us)
    if not stored:
        raise refusal.unknown(queue, name)
    valid = [copy for copy in stored if copy.content.created_us > purged_us]
    if not valid:
        raise refusal.tombstoned(queue, name, None)
    return next((copy for copy in valid if copy.eta_us == expected_eta_us), valid[0])


def _not_to_be_seen(queue: str, name: str) -> errors.UnsupportedError:
    return errors.UnsupportedError(
        f"this broker cannot look up task {name!r} in queue {queue!r}: its lease is changed by whoever leased it and "
        "still knows its payload and its eta"
    )


def _restored(fallback: Content, name: str, now_us: int) -> Content:
    return replace(fallback, name=name, created_us=fallback.created_us or now_us)
