"""The Facts' obligations on the way out: delete, purge, free, prune."""

from __future__ import annotations

import pytest

from gae_broker.ports import ClaimOutcome, ClaimResult, Deletion, Fact, State
from gae_broker.testing.contracts.ledger_bench import (
    DAY_US,
    EVER_US,
    NOW_US,
    SECOND_US,
    UNTIL_US,
    LedgerAdoption,
    LedgerBench,
)

MINUTE_US = 60 * SECOND_US
GRANTED = ClaimOutcome(ClaimResult.GRANTED)


class RemovalContract(LedgerAdoption):
    """`gae_broker.ports.Facts`."""

    def test_delete_tombstones_until_a_time(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        bench.claimed("b", "copy")
        assert bench.delete("a", "b", now_us=NOW_US + 1) == [Deletion.DELETED, Deletion.DELETED]
        for name in "ab":
            assert bench.fact(name) == Fact(State.DELETED, "copy", NOW_US, 0, UNTIL_US, NOW_US + 1, held=False)
        assert bench.claim(bench.wish("a", "new"), now_us=UNTIL_US - 1)[0].result is ClaimResult.TOMBSTONED
        assert bench.claim(bench.wish("a", "new"), now_us=UNTIL_US) == [GRANTED]

    def test_delete_of_what_is_over_changes_nothing(self, bench: LedgerBench) -> None:
        bench.live("done", "copy")
        bench.live("deleted", "copy")
        bench.ledger.finish(bench.queue, [("done", "copy")], NOW_US, UNTIL_US)
        bench.delete("deleted")
        before = bench.ledger.facts(bench.queue, ["done", "deleted"])
        assert bench.delete("done", "deleted", make=True, now_us=NOW_US + 1) == [Deletion.GONE, Deletion.GONE]
        assert bench.ledger.facts(bench.queue, ["done", "deleted"]) == before

    def test_delete_of_an_unknown_name(self, bench: LedgerBench) -> None:
        assert bench.delete("a") == [Deletion.UNKNOWN]
        assert bench.fact("a") is None

    def test_delete_with_make_suppresses_an_unknown_task_but_takes_no_name(self, bench: LedgerBench) -> None:
        assert bench.delete("a", make=True) == [Deletion.UNKNOWN]
        fact = bench.the_fact("a")
        assert (fact.state, fact.until_us) == (State.DELETED, 0)
        assert not bench.advance("a", "original", "next")
        assert bench.delete("a", make=True) == [Deletion.GONE]
        assert bench.claim(bench.wish("a", "new")) == [GRANTED]

    def test_delete_with_make_is_kept_as_long_as_any_copy_can_run(self, bench: LedgerBench) -> None:
        """A task's eta may be 30 days ahead, a lease 7; an unknown copy may be due then."""
        bench.delete("a", make=True)
        bench.prune(NOW_US + 37 * DAY_US + MINUTE_US)
        assert bench.fact("a") is not None
        bench.prune(EVER_US)
        assert bench.fact("a") is None

    def test_delete_of_a_held_task(self, bench: LedgerBench) -> None:
        bench.held("unnamed")
        bench.held("named", named=True)
        assert bench.delete("unnamed", "named") == [Deletion.DELETED, Deletion.DELETED]
        assert bench.fact("unnamed") is None
        fact = bench.the_fact("named")
        assert (fact.state, fact.until_us, fact.held) == (State.DELETED, UNTIL_US, False)
        assert bench.ledger.held(bench.queue, 10, None) == []
        assert bench.delete("unnamed", "named") == [Deletion.UNKNOWN, Deletion.GONE]

    def test_delete_each_for_itself_in_order(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        outcomes = bench.delete("a", "b", "a", "b", make=True)
        assert outcomes == [Deletion.DELETED, Deletion.UNKNOWN, Deletion.GONE, Deletion.GONE]
        assert bench.delete() == []

    def test_purge_deletes_what_was_created_up_to_the_mark(self, bench: LedgerBench) -> None:
        for offset in (-1, 0, 1):
            bench.live(f"live-{offset}", "copy", created_us=NOW_US + offset)
            bench.claim(bench.wish(f"claimed-{offset}", "copy", created_us=NOW_US + offset))
            bench.moved(f"moved-{offset}", "copy", created_us=NOW_US + offset)
            bench.held(f"held-{offset}", created_us=NOW_US + offset)
        assert bench.ledger.purge(bench.queue, NOW_US, NOW_US + 5, UNTIL_US) == 8
        names = [f"{kind}-{offset}" for kind in ("live", "claimed", "moved", "held") for offset in (-1, 0, 1)]
        facts = bench.ledger.facts(bench.queue, names)
        assert {name for name, fact in facts.items() if fact.state in {State.LIVE, State.CLAIMED}} == {
            "live-1",
            "claimed-1",
            "moved-1",
            "held-1",
        }
        assert [held.message.key for held in bench.ledger.held(bench.queue, 10, None)] == ["held-1"]
        assert not bench.advance("moved-0", "copy", "next")
        assert bench.ledger.control(bench.queue).purged_us == NOW_US

    def test_purge_tombstones_names_that_were_chosen(self, bench: LedgerBench) -> None:
        bench.live("named", "copy")
        bench.moved("unnamed", "copy")
        bench.held("held-named", named=True)
        bench.ledger.purge(bench.queue, NOW_US, NOW_US + 5, UNTIL_US)
        facts = bench.ledger.facts(bench.queue, ["named", "unnamed", "held-named"])
        assert {name: (fact.state, fact.until_us, fact.held) for name, fact in facts.items()} == {
            "named": (State.DELETED, UNTIL_US, False),
            "unnamed": (State.DELETED, 0, False),
            "held-named": (State.DELETED, UNTIL_US, False),
        }
        assert bench.claim(bench.wish("named", "new"))[0].result is ClaimResult.TOMBSTONED
        assert bench.claim(bench.wish("unnamed", "new")) == [GRANTED]

    def test_purge_leaves_what_is_over_and_other_queues(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        bench.ledger.finish(bench.queue, [("a", "copy")], NOW_US, NOW_US + 7)
        before = bench.fact("a")
        assert bench.ledger.purge(f"{bench.queue}-other", EVER_US, NOW_US, UNTIL_US) == 0
        assert bench.ledger.purge(bench.queue, NOW_US, NOW_US, UNTIL_US) == 0
        assert bench.fact("a") == before

    def test_purge_keeps_rows_until_their_copies_are_past(self, bench: LedgerBench) -> None:
        far_us = NOW_US + 20 * DAY_US
        bench.live("a", "copy", due_us=far_us)
        bench.ledger.purge(bench.queue, NOW_US, NOW_US, NOW_US + 1)
        bench.prune(far_us + MINUTE_US)
        assert bench.the_fact("a").state is State.DELETED
        bench.prune(EVER_US)
        assert bench.fact("a") is None

    def test_purge_marks_never_go_back(self, bench: LedgerBench) -> None:
        for purged_us in (NOW_US, NOW_US + 9, NOW_US + 3):
            bench.ledger.purge(bench.queue, purged_us, NOW_US, UNTIL_US)
        assert bench.ledger.control(bench.queue).purged_us == NOW_US + 9

    @pytest.mark.parametrize("every", [False, True])
    def test_free_lifts_tombstones_and_goes_on_suppressing(self, bench: LedgerBench, every: bool) -> None:
        for name in ("done", "live", "claimed"):
            bench.claimed(name, "copy")
        bench.ledger.confirm(bench.queue, [("live", "copy")], NOW_US)
        bench.ledger.finish(bench.queue, [("done", "copy")], NOW_US, UNTIL_US)
        names = None if every else ["done", "live", "claimed", "absent"]
        assert bench.ledger.free(bench.queue, names) == 1
        assert not bench.advance("done", "copy", "next")
        assert bench.the_fact("live").state is State.LIVE
        outcomes = bench.claim(*(bench.wish(name, "new") for name in ("done", "live", "claimed")))
        assert [o.result for o in outcomes] == [ClaimResult.GRANTED, ClaimResult.EXISTS, ClaimResult.PENDING]

    def test_prune_keeps_what_lives_and_what_takes_a_name(self, bench: LedgerBench) -> None:
        bench.live("live", "copy")
        bench.claimed("claimed", "copy")
        bench.held("held")
        bench.live("done", "copy")
        bench.ledger.finish(bench.queue, [("done", "copy")], NOW_US, EVER_US + 1)
        bench.prune(EVER_US)
        assert set(bench.ledger.facts(bench.queue, ["live", "claimed", "held", "done"])) == {
            "live",
            "claimed",
            "held",
            "done",
        }

    def test_prune_keeps_rows_for_copies_that_come_late(self, bench: LedgerBench) -> None:
        """A copy may be delivered again although its task is done: its ack got lost, long after it was due."""
        bench.moved("a", "copy")
        done_us = NOW_US + 9 * DAY_US
        bench.ledger.finish(bench.queue, [("a", "copy")], done_us, done_us)
        bench.prune(done_us + MINUTE_US)
        assert bench.the_fact("a").state is State.DONE

    def test_prune_takes_no_more_than_its_limit(self, bench: LedgerBench) -> None:
        bench.prune(EVER_US)
        names = [f"task-{number}" for number in range(7)]
        for name in names:
            bench.moved(name, "copy")
        bench.ledger.finish(bench.queue, [(name, "copy") for name in names], NOW_US, UNTIL_US)
        assert bench.ledger.prune(EVER_US, 3) == 3
        assert len(bench.ledger.facts(bench.queue, names)) == 4
        assert bench.ledger.prune(EVER_US, 10) == 4
        assert bench.ledger.prune(EVER_US, 10) == 0
