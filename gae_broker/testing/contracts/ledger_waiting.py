"""The obligations of Parked, Census and Watch: what waits in a broker that tells little, and until when rows stay."""

from __future__ import annotations

from gae_broker.ports import Delayed, Deletion, Move, State
from gae_broker.testing.contracts.ledger_bench import (
    DAY_US,
    EVER_US,
    NOW_US,
    SECOND_US,
    UNTIL_US,
    LedgerAdoption,
    LedgerBench,
)

HOUR_US = 3600 * SECOND_US


class ParkedContract(LedgerAdoption):
    """`gae_broker.ports.Parked`."""

    def test_confirm_keeps_what_is_due_late(self, bench: LedgerBench) -> None:
        for name, due_us in (("far", NOW_US + 11), ("near", NOW_US + 10)):
            bench.claimed(name, f"copy-{name}", due_us=due_us)
        copies = [("far", "copy-far"), ("near", "copy-near")]
        assert bench.ledger.parked(bench.queue, ["far", "near"]) == {}, "not before it is known to be stored"
        bench.ledger.confirm(bench.queue, copies, NOW_US, NOW_US + 10)
        kept = bench.message("far", "copy-far", NOW_US + 11)
        assert bench.ledger.parked(bench.queue, ["far", "near", "unknown"]) == {"far": kept}
        assert bench.ledger.list_parked(bench.queue, 10, None) == [kept]
        assert {bench.the_fact(name).state for name, _ in copies} == {State.LIVE}
        stale = bench.ledger.stale_claims(EVER_US, 1_000_000)
        assert bench.queue not in {claim.message.queue for claim in stale}

    def test_confirm_keeps_nothing_unless_told(self, bench: LedgerBench) -> None:
        bench.claimed("far", "copy", due_us=EVER_US)
        bench.ledger.confirm(bench.queue, [("far", "copy")], NOW_US)
        assert bench.ledger.parked(bench.queue, ["far"]) == {}

    def test_a_move_brings_its_message_or_none(self, bench: LedgerBench) -> None:
        """With a row and without one."""
        bench.live("row", "old")
        for name in ("row", "fresh"):
            kept = bench.message(name, f"new-{name}", NOW_US + HOUR_US)
            move = Move(name, "old", kept.copy_id, kept.due_us, 1, False, NOW_US, message=kept)
            assert bench.ledger.advance(bench.queue, [move], NOW_US) == [True]
            assert bench.ledger.parked(bench.queue, [name]) == {name: kept}
            assert bench.advance(name, kept.copy_id, "last")
            assert bench.ledger.parked(bench.queue, [name]) == {}

    def test_a_lost_move_leaves_the_message(self, bench: LedgerBench) -> None:
        kept = self._parked(bench, "a")
        other = bench.message("a", "other", NOW_US + HOUR_US)
        move = Move("a", "not the live copy", "other", NOW_US, 1, False, NOW_US, message=other)
        assert bench.ledger.advance(bench.queue, [move], NOW_US) == [False]
        assert bench.ledger.parked(bench.queue, ["a"]) == {"a": kept}

    def test_the_message_goes_with_the_task(self, bench: LedgerBench) -> None:
        names = ["done", "deleted", "purged"]
        for name in names:
            self._parked(bench, name)
        bench.ledger.finish(bench.queue, [("done", "copy-done")], NOW_US, UNTIL_US)
        assert bench.delete("deleted") == [Deletion.DELETED]
        assert set(bench.ledger.parked(bench.queue, names)) == {"purged"}
        bench.ledger.purge(bench.queue, NOW_US, NOW_US, UNTIL_US)
        assert bench.ledger.parked(bench.queue, names) == {}
        assert bench.ledger.list_parked(bench.queue, 10, None) == []

    def test_listed_in_order_page_by_page(self, bench: LedgerBench) -> None:
        kept = [self._parked(bench, name, NOW_US + offset) for name, offset in (("c", 7), ("a", 8), ("b", 8), ("d", 9))]
        bench.held("held")
        assert bench.ledger.list_parked(bench.queue, 2, None) == kept[:2]
        assert bench.ledger.list_parked(bench.queue, 2, (NOW_US + 8, "a")) == kept[2:]
        assert bench.ledger.list_parked(bench.queue, 2, (NOW_US + 9, "d")) == []

    def _parked(self, bench: LedgerBench, name: str, due_us: int = NOW_US + HOUR_US) -> object:
        kept = bench.message(name, f"copy-{name}", due_us)
        move = Move(name, "original", kept.copy_id, due_us, 0, False, NOW_US, message=kept)
        assert bench.ledger.advance(bench.queue, [move], NOW_US) == [True]
        return kept


class CensusContract(LedgerAdoption):
    """`gae_broker.ports.Census`."""

    def test_nothing_waits_in_a_new_queue(self, bench: LedgerBench) -> None:
        assert bench.ledger.waiting(bench.queue, NOW_US) == (0, None)

    def test_rows_that_are_due_later(self, bench: LedgerBench) -> None:
        bench.live("named", "copy", due_us=NOW_US + 5)
        bench.moved("leased", "copy", due_us=NOW_US + 3)
        bench.claimed("claimed", "copy", due_us=NOW_US + 9)
        bench.held("held", due_us=NOW_US + 7)
        for name in ("done", "deleted"):
            bench.moved(name, "copy", due_us=NOW_US + 4)
        bench.ledger.finish(bench.queue, [("done", "copy")], NOW_US, NOW_US)
        bench.delete("deleted")
        assert bench.ledger.waiting(bench.queue, NOW_US) == (3, NOW_US + 3)
        assert bench.ledger.waiting(bench.queue, NOW_US + 3) == (2, NOW_US + 3), "the leased one is due, but known"
        assert bench.ledger.waiting(bench.queue, NOW_US + 9) == (0, NOW_US + 3)

    def test_counts_add_up_and_leave_by_themselves(self, bench: LedgerBench) -> None:
        for tasks, first_us in ((3, NOW_US + 500), (4, NOW_US + 200)):
            bench.ledger.count_delayed([self._delayed(bench, NOW_US + 1000, 1000, tasks, first_us)])
        bench.ledger.count_delayed([self._delayed(bench, NOW_US + 9000, 2000, 8, NOW_US + 8000)])
        assert bench.ledger.waiting(bench.queue, NOW_US) == (15, NOW_US + 200)
        assert bench.ledger.waiting(bench.queue, NOW_US + 1000) == (8, NOW_US + 8000)
        assert bench.ledger.waiting(bench.queue, NOW_US + 8000)[0] == 4, "half of the last ones' time is over"
        assert bench.ledger.waiting(bench.queue, NOW_US + 9000) == (0, None)
        bench.prune(NOW_US + 9000)
        assert bench.ledger.waiting(bench.queue, NOW_US) == (0, None), "what is past is forgotten"

    def test_counts_and_rows_together_and_each_queue_for_itself(self, bench: LedgerBench) -> None:
        bench.moved("leased", "copy", due_us=NOW_US + 3000)
        other = Delayed(f"{bench.queue}-other", NOW_US + 1000, 1000, 5, NOW_US + 1, NOW_US)
        bench.ledger.count_delayed([self._delayed(bench, NOW_US + 1000, 1000, 2, NOW_US + 900), other])
        assert bench.ledger.waiting(bench.queue, NOW_US) == (3, NOW_US + 900)
        bench.ledger.count_delayed([])

    def test_a_purge_takes_the_count_with_it_late_news_too(self, bench: LedgerBench) -> None:
        bench.ledger.count_delayed([self._delayed(bench, NOW_US + 1000, 1000, 2, NOW_US + 900)])
        bench.ledger.purge(bench.queue, NOW_US, NOW_US, UNTIL_US)
        assert bench.ledger.waiting(bench.queue, NOW_US) == (0, None)
        for created_us, count in ((NOW_US, 0), (NOW_US + 1, 5)):
            entry = Delayed(bench.queue, NOW_US + 1000, 1000, 5, NOW_US + 900, created_us)
            bench.ledger.count_delayed([entry])
            assert bench.ledger.waiting(bench.queue, NOW_US)[0] == count

    def _delayed(self, bench: LedgerBench, until_us: int, width_us: int, tasks: int, first_us: int) -> Delayed:
        return Delayed(bench.queue, until_us, width_us, tasks, first_us, NOW_US)


class WatchContract(LedgerAdoption):
    """`gae_broker.ports.Watch`, and what of it `gae_broker.ports.Facts.prune` heeds."""

    def test_seen_never_goes_back(self, bench: LedgerBench) -> None:
        assert bench.ledger.seen_us(bench.queue) == 0
        for seen_us in (NOW_US, NOW_US + 9, NOW_US + 3):
            bench.ledger.seen({bench.queue: seen_us, f"{bench.queue}-other": 5})
        assert bench.ledger.seen_us(bench.queue) == NOW_US + 9
        assert not bench.ledger.control(bench.queue).paused

    def test_rows_wait_until_their_copies_are_gone(self, bench: LedgerBench) -> None:
        """The worker deletes what it leased and goes home; the parked copy is in the queue when it comes back.

        A broker that is down holds up what waits in it, for as long as it is down.
        """
        self._over(bench, "a", due_us=NOW_US + 5)
        now_us = self._watch(bench, NOW_US, NOW_US + 2 * HOUR_US)
        bench.prune(now_us)
        assert bench.fact("a") is not None, "nobody read the queue since"
        bench.ledger.seen({bench.queue: NOW_US + 5})
        bench.prune(now_us)
        assert bench.fact("a") is not None, "late copies may follow"
        bench.ledger.seen({bench.queue: now_us})
        bench.prune(now_us)
        assert bench.fact("a") is None

        self._over(bench, "b", due_us=now_us + 5)
        begin_us = now_us + 5 * HOUR_US  # nobody keeps watch until then
        for hours, stays in ((0.5, True), (1.5, False)):
            now_us = self._watch(bench, begin_us, begin_us + round(hours * HOUR_US))
            bench.ledger.seen({bench.queue: now_us})
            bench.prune(now_us)
            assert (bench.fact("b") is not None) is stays, hours

    def test_a_row_of_a_queue_that_nobody_reads_goes_in_the_end(self, bench: LedgerBench) -> None:
        self._over(bench, "a", due_us=NOW_US)
        bench.prune(NOW_US + 80 * DAY_US)
        assert bench.fact("a") is not None
        bench.prune(EVER_US)
        assert bench.fact("a") is None

    def _watch(self, bench: LedgerBench, from_us: int, until_us: int) -> int:
        for at_us in range(from_us, until_us, 55 * SECOND_US):
            bench.ledger.alive(at_us)
        return until_us

    def _over(self, bench: LedgerBench, name: str, due_us: int) -> None:
        bench.moved(name, "copy", due_us=due_us)
        bench.delete(name)
