"""The Facts' obligations while a task lives: facts, advance, finish."""

from __future__ import annotations

import pytest

from gae_broker.ports import ClaimOutcome, ClaimResult, Fact, Move, State
from gae_broker.testing.contracts.ledger_bench import (
    DAY_US,
    EVER_US,
    NOW_US,
    SECOND_US,
    UNTIL_US,
    LedgerAdoption,
    LedgerBench,
)


class MovesContract(LedgerAdoption):
    """`gae_broker.ports.Facts`; the numbers in the names are those of ``advance``."""

    def test_facts_are_those_that_there_are(self, bench: LedgerBench) -> None:
        bench.live("a", "copy-a")
        bench.claimed("b", "copy-b")
        facts = bench.ledger.facts(bench.queue, ["b", "absent", "a", "a", 'it\'s "quoted"'])
        assert {name: (fact.state, fact.live_copy) for name, fact in facts.items()} == {
            "a": (State.LIVE, "copy-a"),
            "b": (State.CLAIMED, "copy-b"),
        }
        assert bench.ledger.facts(bench.queue, []) == {}
        assert bench.ledger.facts(f"{bench.queue}-other", ["a"]) == {}

    def test_facts_of_any_number_of_names(self, bench: LedgerBench) -> None:
        bench.live("task-4999", "copy")
        assert list(bench.ledger.facts(bench.queue, [f"task-{number}" for number in range(5000)])) == ["task-4999"]

    def test_advance_1_without_a_row_makes_one(self, bench: LedgerBench) -> None:
        assert bench.advance("a", "original", "next", eta_us=NOW_US + 5, leases=3, named=False)
        assert bench.fact("a") == Fact(State.LIVE, "next", NOW_US + 5, 3, 0, NOW_US, held=False)

    @pytest.mark.parametrize("named", [False, True])
    def test_advance_1_the_row_knows_whether_its_name_was_chosen(self, bench: LedgerBench, named: bool) -> None:
        bench.advance("a", "original", "next", named=named)
        bench.ledger.finish(bench.queue, [("a", "next")], NOW_US, UNTIL_US)
        assert bench.the_fact("a").until_us == (UNTIL_US if named else 0)

    def test_advance_2_needs_the_live_copy(self, bench: LedgerBench) -> None:
        bench.live("a", "first")
        assert not bench.advance("a", "another", "second")
        assert bench.the_fact("a").live_copy == "first"
        assert bench.advance("a", "first", "second", eta_us=NOW_US + 9, leases=2)
        assert bench.fact("a") == Fact(State.LIVE, "second", NOW_US + 9, 2, 0, NOW_US, held=False)
        assert not bench.advance("a", "first", "third")

    def test_advance_2_records_when(self, bench: LedgerBench) -> None:
        bench.live("a", "first")
        moves = [Move(name, "first", "second", NOW_US, 1, True, NOW_US) for name in ("a", "new")]
        bench.ledger.advance(bench.queue, moves, NOW_US + 7)
        facts = bench.ledger.facts(bench.queue, ["a", "new"])
        assert {fact.changed_us for fact in facts.values()} == {NOW_US + 7}

    def test_advance_2_from_a_claim_makes_it_live(self, bench: LedgerBench) -> None:
        bench.claimed("a", "first")
        assert bench.advance("a", "first", "second")
        assert bench.the_fact("a").state is State.LIVE
        claims = bench.ledger.stale_claims(EVER_US, 100_000)
        assert not [claim for claim in claims if claim.message.queue == bench.queue]

    def test_advance_2_not_from_done_or_deleted(self, bench: LedgerBench) -> None:
        for name in ("done", "deleted"):
            bench.live(name, "copy")
        bench.ledger.finish(bench.queue, [("done", "copy")], NOW_US, UNTIL_US)
        bench.delete("deleted")
        bench.delete("unknown", make=True)
        for name in ("done", "deleted", "unknown"):
            before = bench.fact(name)
            assert not bench.advance(name, "copy", "next")
            assert bench.fact(name) == before

    def test_advance_2_not_of_a_held_task(self, bench: LedgerBench) -> None:
        message = bench.held("a")
        before = bench.fact("a")
        assert not bench.advance("a", message.copy_id, "next")
        assert bench.fact("a") == before

    def test_advance_2_needs_the_expected_eta_where_one_is_given(self, bench: LedgerBench) -> None:
        bench.moved("a", "first", due_us=NOW_US + 5)
        assert not bench.advance("a", "first", "second", expected_eta_us=NOW_US + 4)
        assert bench.advance("a", "first", "second", expected_eta_us=NOW_US + 5, eta_us=NOW_US + 6)
        assert not bench.advance("a", "second", "third", expected_eta_us=NOW_US + 5)
        assert bench.advance("new", "original", "copy", expected_eta_us=NOW_US), "a row that is made has no eta yet"

    def test_advance_4_a_move_that_took_place_already_did(self, bench: LedgerBench) -> None:
        bench.live("a", "first")
        assert bench.advance("a", "first", "second", eta_us=NOW_US + 9, leases=2)
        before = bench.fact("a")
        assert bench.advance("a", "first", "second", eta_us=NOW_US + 9, leases=2)
        assert bench.fact("a") == before
        bench.ledger.finish(bench.queue, [("a", "second")], NOW_US, UNTIL_US)
        assert not bench.advance("a", "first", "second")

    def test_advance_each_for_itself_in_order(self, bench: LedgerBench) -> None:
        bench.live("a", "a1")
        moves = [
            Move(name, old, new, NOW_US, 1, True, NOW_US)
            for name, old, new in (
                ("a", "a1", "a2"),
                ("b", "b0", "b1"),
                ("a", "a1", "a9"),
                ("a", "a2", "a3"),
                ("b", "b1", "b2"),
                ("b", "b0", "b9"),
            )
        ]
        assert bench.ledger.advance(bench.queue, moves, NOW_US) == [True, True, False, True, True, False]
        assert bench.the_fact("a").live_copy == "a3"
        assert bench.the_fact("b").live_copy == "b2"
        assert bench.ledger.advance(bench.queue, [], NOW_US) == []

    def test_advance_3_the_row_outlives_every_copy_it_knew(self, bench: LedgerBench) -> None:
        far_us = NOW_US + 20 * DAY_US
        bench.moved("a", "first", due_us=far_us)
        bench.advance("a", "first", "second", eta_us=NOW_US + 1)
        bench.ledger.finish(bench.queue, [("a", "second")], NOW_US + 2, UNTIL_US)
        bench.prune(far_us + 60 * SECOND_US)
        assert bench.the_fact("a").state is State.DONE, "the first copy is due now, and would run"
        bench.prune(EVER_US)
        assert bench.fact("a") is None

    def test_finish_tombstones_a_named_task(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        bench.ledger.finish(bench.queue, [("a", "copy")], NOW_US + 1, UNTIL_US)
        assert bench.fact("a") == Fact(State.DONE, "copy", NOW_US, 0, UNTIL_US, NOW_US + 1, held=False)

    def test_finish_of_an_unnamed_task_takes_no_name(self, bench: LedgerBench) -> None:
        bench.moved("a", "copy")
        bench.ledger.finish(bench.queue, [("a", "copy")], NOW_US, UNTIL_US)
        fact = bench.the_fact("a")
        assert (fact.state, fact.until_us) == (State.DONE, 0)
        assert bench.claim(bench.wish("a", "new")) == [ClaimOutcome(ClaimResult.GRANTED)]

    def test_finish_of_a_claim_that_ran_before_it_was_confirmed(self, bench: LedgerBench) -> None:
        bench.claimed("a", "copy")
        bench.ledger.finish(bench.queue, [("a", "copy")], NOW_US, UNTIL_US)
        assert bench.the_fact("a").state is State.DONE

    def test_finish_only_where_that_copy_is_live(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        bench.live("deleted", "copy")
        bench.delete("deleted", until_us=UNTIL_US)
        held = bench.held("held")
        names = ["a", "deleted", "held", "absent"]
        before = bench.ledger.facts(bench.queue, names)
        wrong = [("a", "another"), ("deleted", "copy"), ("held", held.copy_id), ("absent", "copy")]
        bench.ledger.finish(bench.queue, wrong, NOW_US + 1, UNTIL_US + 1)
        assert bench.ledger.facts(bench.queue, names) == before
