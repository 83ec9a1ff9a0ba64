"""What each call makes of a row: pure decisions, the same for every database.

Two times bound a row's life once its task is over. ``until_us`` is when the *name* is free. ``keep_us`` is when
the *row* may go: neither the name's time nor any copy of the task that ever was may still need it. While a task
lives, ``keep_us`` grows with each copy's due time, plus `SLACK_US` for copies that come late. A name that is free
before its row may go is granted by overwriting the row: the new copy's id makes every older copy stale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gae_broker.ports import Claim, ClaimOutcome, ClaimResult, Deletion, Fact, Move, State

_US = 1_000_000
SLACK_US = 3600 * _US
"""How late after its due time a copy may still turn up."""

_LATEST_COPY_US = (30 + 7) * 86_400 * _US
"""No copy of a task is due later from now: an eta may be 30 days ahead, a lease lasts 7 days at most."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, without the message. See schema.py."""

    state: State
    live_copy: str | None
    eta_us: int
    leases: int
    named: bool
    created_us: int
    changed_us: int
    until_us: int
    keep_us: int
    prior_keep_us: int
    held: bool

    @property
    def unfinished(self) -> bool:
        """Whether the task is yet to be done."""
        return self.state in {State.CLAIMED, State.LIVE}

    def fact(self) -> Fact:
        """The row as the engine reads it."""
        copy_id = None if self.held else self.live_copy
        return Fact(self.state, copy_id, self.eta_us, self.leases, self.until_us, self.changed_us, self.held)


def claim(row: Row | None, wish: Claim, now_us: int, takeover_us: int) -> tuple[ClaimOutcome, Row | None]:
    """Decide a claim; the row that it makes where it is granted."""
    refusal = None if row is None else _refusal(row, now_us, takeover_us)
    if row is not None and refusal is not None:
        return ClaimOutcome(refusal, row.fact()), None
    message, held = wish.message, wish.tag is not None
    prior_keep_us = 0 if row is None else row.keep_us
    granted = Row(
        state=State.LIVE if held else State.CLAIMED,
        live_copy=message.copy_id,
        eta_us=message.due_us,
        leases=0,
        named=wish.named,
        created_us=wish.created_us,
        changed_us=now_us,
        until_us=0,
        keep_us=max(message.due_us, now_us, prior_keep_us - SLACK_US) + SLACK_US,
        prior_keep_us=prior_keep_us,
        held=held,
    )
    return ClaimOutcome(ClaimResult.GRANTED), granted


def _refusal(row: Row, now_us: int, takeover_us: int) -> ClaimResult | None:
    if row.state is State.LIVE:
        return ClaimResult.EXISTS
    if row.state is State.CLAIMED:
        return ClaimResult.PENDING if row.changed_us > takeover_us else None
    return ClaimResult.TOMBSTONED if row.until_us > now_us else None


def confirm(row: Row | None, copy_id: str, now_us: int) -> Row | None:
    """The row once its claim's message is stored; ``None`` where nothing changes."""
    if row is None or row.state is not State.CLAIMED or row.live_copy != copy_id:
        return None
    return replace(row, state=State.LIVE, changed_us=now_us)


def may_release(row: Row | None, copy_id: str) -> bool:
    """Whether the row is that copy's claim."""
    return row is not None and row.state is State.CLAIMED and row.live_copy == copy_id


def vacate(row: Row) -> Row | None:
    """What is left of a row whose task leaves nothing: the suppression of older copies, or nothing."""
    if not row.prior_keep_us:
        return None
    return replace(
        row,
        state=State.DELETED,
        until_us=0,
        keep_us=row.prior_keep_us,
        prior_keep_us=0,
        held=False,
    )


def advance(row: Row | None, move: Move, now_us: int) -> Row | None:
    """The row after the swap; ``None`` where it does not take place."""
    keep_us = max(move.eta_us, now_us) + SLACK_US
    if row is None:
        return Row(
            state=State.LIVE,
            live_copy=move.new_copy,
            eta_us=move.eta_us,
            leases=move.leases,
            named=move.named,
            created_us=move.created_us,
            changed_us=now_us,
            until_us=0,
            keep_us=keep_us,
            prior_keep_us=0,
            held=False,
        )
    if _is_live(row, move.new_copy):
        return replace(row, state=State.LIVE)
    if not _is_live(row, move.old_copy) or move.expected_eta_us not in {None, row.eta_us}:
        return None
    return replace(
        row,
        state=State.LIVE,
        live_copy=move.new_copy,
        eta_us=move.eta_us,
        leases=move.leases,
        changed_us=now_us,
        keep_us=max(row.keep_us, keep_us),
    )


def finish(row: Row | None, copy_id: str, now_us: int, until_us: int) -> Row | None:
    """The row of a task that is done; ``None`` where that copy is not the live one."""
    if row is None or not _is_live(row, copy_id):
        return None
    return _end(row, State.DONE, now_us, until_us if row.named else 0)


def delete(row: Row | None, now_us: int, until_us: int, *, make: bool) -> tuple[Deletion, Row | None]:
    """Decide a deletion; the row afterwards, ``None`` where there is none."""
    if row is None:
        return Deletion.UNKNOWN, _unknown(now_us) if make else None
    if not row.unfinished:
        return Deletion.GONE, row
    if row.held and not row.named:
        return Deletion.DELETED, vacate(row)
    return Deletion.DELETED, _end(row, State.DELETED, now_us, until_us if row.named else 0)


def _is_live(row: Row, copy_id: str) -> bool:
    return row.unfinished and not row.held and row.live_copy == copy_id


def _end(row: Row, state: State, now_us: int, until_us: int) -> Row:
    keep_us = max(row.keep_us, until_us, now_us + SLACK_US)
    return replace(row, state=state, changed_us=now_us, until_us=until_us, keep_us=keep_us, held=False)


def _unknown(now_us: int) -> Row:
    """The row that suppresses every copy of a task of which nothing is known; its name stays free."""
    return Row(
        state=State.DELETED,
        live_copy=None,
        eta_us=0,
        leases=0,
        named=False,
        created_us=0,
        changed_us=now_us,
        until_us=0,
        keep_us=now_us + _LATEST_COPY_US + SLACK_US,
        prior_keep_us=0,
        held=False,
    )
