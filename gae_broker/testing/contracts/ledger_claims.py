"""The Facts' obligations on the way in: claim, confirm, release, stale claims."""

from __future__ import annotations

import threading

import pytest

from gae_broker.ports import Claim, ClaimOutcome, ClaimResult, Fact, State
from gae_broker.testing.contracts.ledger_bench import (
    DAY_US,
    EVER_US,
    NOW_US,
    SECOND_US,
    TAKEOVER_US,
    UNTIL_US,
    LedgerAdoption,
    LedgerBench,
)
from gae_broker.testing.contracts.ledger_rival import RIVAL_NAMES, race

GRANTED = ClaimOutcome(ClaimResult.GRANTED)


class ClaimsContract(LedgerAdoption):
    """`gae_broker.ports.Facts`; the numbers in the names are those of ``claim``."""

    def test_claim_1_a_free_name_is_granted_and_claimed(self, bench: LedgerBench) -> None:
        due_us = NOW_US + DAY_US
        assert bench.claim(bench.wish("a", "copy", due_us=due_us)) == [GRANTED]
        assert bench.fact("a") == Fact(State.CLAIMED, "copy", due_us, 0, 0, NOW_US, held=False)

    def test_claim_1_the_row_keeps_the_message(self, bench: LedgerBench) -> None:
        wish = bench.wish("a", "copy", due_us=NOW_US + 5, created_us=NOW_US - 5)
        bench.claim(wish)
        assert stale_here(bench, NOW_US + 1) == [wish]

    def test_claim_1_the_row_keeps_the_message_where_there_was_a_row(self, bench: LedgerBench) -> None:
        for name in ("done", "held"):
            bench.live(name, "old")
            bench.ledger.finish(bench.queue, [(name, "old")], NOW_US, NOW_US + 1)
        bench.claimed("taken-over", "old", now_us=TAKEOVER_US)
        wishes = [bench.wish("done", "new", due_us=NOW_US + 7), bench.wish("taken-over", "new")]
        held = Claim(bench.message("held", "new"), True, NOW_US, "tag")
        assert bench.claim(*wishes, held, now_us=NOW_US + 1) == [GRANTED] * 3
        assert sorted(stale_here(bench, NOW_US + 2), key=lambda claim: claim.message.key) == wishes
        assert [task.message for task in bench.ledger.held(bench.queue, 9, None)] == [held.message]

    def test_claim_1_a_held_task_is_live_at_once(self, bench: LedgerBench) -> None:
        bench.held("a", due_us=NOW_US + 5)
        assert bench.fact("a") == Fact(State.LIVE, None, NOW_US + 5, 0, 0, NOW_US, held=True)
        assert stale_here(bench, NOW_US + 1) == []

    def test_claim_1_a_tombstone_stands_in_the_way_until_its_time(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        bench.ledger.finish(bench.queue, [("a", "copy")], NOW_US, UNTIL_US)
        done = bench.fact("a")
        assert bench.claim(bench.wish("a", "new"), now_us=UNTIL_US - 1) == [
            ClaimOutcome(ClaimResult.TOMBSTONED, done),
        ]
        assert bench.claim(bench.wish("a", "new"), now_us=UNTIL_US) == [GRANTED]
        assert bench.the_fact("a").live_copy == "new"

    def test_claim_1_a_name_freed_while_older_copies_may_run_leaves_them_suppressed(self, bench: LedgerBench) -> None:
        """An older copy is stale by its id as long as the new task has a row, and after it by what is left."""
        far_us = NOW_US + 30 * DAY_US
        bench.live("a", "old", due_us=far_us)
        bench.delete("a", until_us=NOW_US + 1)
        assert bench.claim(bench.wish("a", "new"), now_us=NOW_US + 2) == [GRANTED]
        assert not bench.advance("a", "old", "newer")
        bench.ledger.finish(bench.queue, [("a", "new")], NOW_US + 3, NOW_US + 4)
        bench.prune(far_us)
        assert bench.the_fact("a").state is State.DONE

    def test_claim_2_a_live_task_exists(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        bench.held("b", named=True)
        outcomes = bench.claim(bench.wish("a", "x"), bench.wish("b", "y"), now_us=EVER_US, takeover_us=EVER_US)
        assert outcomes == [ClaimOutcome(ClaimResult.EXISTS, bench.fact(name)) for name in "ab"]
        assert bench.the_fact("a").live_copy == "copy"

    def test_claim_2_a_young_claim_is_pending_an_old_one_taken_over(self, bench: LedgerBench) -> None:
        bench.claimed("a", "first")
        pending = bench.claim(bench.wish("a", "second"), now_us=NOW_US + 1, takeover_us=NOW_US - 1)
        assert pending == [ClaimOutcome(ClaimResult.PENDING, bench.fact("a"))]
        assert bench.claim(bench.wish("a", "third"), now_us=NOW_US + 2, takeover_us=NOW_US) == [GRANTED]
        fact = bench.the_fact("a")
        assert (fact.live_copy, fact.changed_us) == ("third", NOW_US + 2)
        bench.ledger.confirm(bench.queue, [("a", "first")], NOW_US + 3)
        assert bench.the_fact("a").state is State.CLAIMED, "confirmed by whom it was taken from"

    def test_claim_each_for_itself(self, bench: LedgerBench) -> None:
        bench.live("b", "copy")
        outcomes = bench.claim(*(bench.wish(name, f"new-{name}") for name in ("a", "b", "c", "a")))
        assert [outcome.result for outcome in outcomes] == [
            ClaimResult.GRANTED,
            ClaimResult.EXISTS,
            ClaimResult.GRANTED,
            ClaimResult.PENDING,
        ]
        assert set(bench.ledger.facts(bench.queue, ["a", "b", "c"])) == {"a", "b", "c"}
        assert bench.claim() == []

    def test_claim_3_of_rival_processes_one_gets_each_name(self, shared: LedgerBench) -> None:
        won = race([shared.start_rival("claim") for _ in range(2)])
        assert sorted(name for names in won for name in names) == sorted(RIVAL_NAMES)

    def test_claim_3_of_rival_threads_one_gets_each_name(self, bench: LedgerBench) -> None:
        won: list[tuple[str, str]] = []

        def claim(me: str) -> None:
            for start in range(0, 100, 10):
                names = [f"task-{number}" for number in range(start, start + 10)]
                outcomes = bench.claim(*(bench.wish(name, f"{me}-{name}") for name in names))
                won.extend((n, f"{me}-{n}") for n, o in zip(names, outcomes, strict=True) if o == GRANTED)

        threads = [threading.Thread(target=claim, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == len(dict(won)) == 100
        facts = bench.ledger.facts(bench.queue, [name for name, _ in won])
        assert {name: fact.live_copy for name, fact in facts.items()} == dict(won)

    def test_claim_names_are_the_queues_own(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        other = f"{bench.queue}-other"
        assert bench.ledger.claim(other, [bench.wish("a", "x")], NOW_US, TAKEOVER_US) == [GRANTED]
        assert bench.the_fact("a").live_copy == "copy"

    def test_confirm_makes_live_and_forgets_the_message(self, bench: LedgerBench) -> None:
        bench.claimed("a", "copy")
        bench.ledger.confirm(bench.queue, [("a", "copy")], NOW_US + 1)
        assert bench.fact("a") == Fact(State.LIVE, "copy", NOW_US, 0, 0, NOW_US + 1, held=False)
        assert stale_here(bench, EVER_US) == []

    def test_confirm_leaves_rows_that_moved_on(self, bench: LedgerBench) -> None:
        for name in ("deleted", "taken", "done", "advanced"):
            bench.claimed(name, "copy")
        bench.delete("deleted")
        bench.claim(bench.wish("taken", "other"), takeover_us=NOW_US)
        bench.ledger.finish(bench.queue, [("done", "copy")], NOW_US, UNTIL_US)
        bench.advance("advanced", "copy", "next")
        before = bench.ledger.facts(bench.queue, ["deleted", "taken", "done", "advanced"])
        assert len(before) == 4
        bench.ledger.confirm(bench.queue, [(name, "copy") for name in [*before, "absent"]], NOW_US + 1)
        assert bench.ledger.facts(bench.queue, [*before, "absent"]) == before

    def test_release_frees_the_name(self, bench: LedgerBench) -> None:
        bench.claimed("a", "copy")
        bench.ledger.release(bench.queue, [("a", "copy")])
        assert bench.fact("a") is None
        assert bench.claim(bench.wish("a", "new")) == [GRANTED]

    @pytest.mark.parametrize("confirmed", [False, True])
    def test_release_leaves_what_is_not_that_claim(self, bench: LedgerBench, confirmed: bool) -> None:
        bench.claimed("a", "copy")
        if confirmed:
            bench.ledger.confirm(bench.queue, [("a", "copy")], NOW_US)
        before = bench.fact("a")
        bench.ledger.release(bench.queue, [("a", "copy" if confirmed else "other"), ("absent", "copy")])
        assert bench.fact("a") == before

    def test_release_of_a_claim_on_a_former_task_leaves_its_copies_suppressed(self, bench: LedgerBench) -> None:
        far_us = NOW_US + 30 * DAY_US
        bench.live("a", "old", due_us=far_us)
        bench.delete("a", until_us=NOW_US + 1)
        bench.claimed("a", "new", now_us=NOW_US + 2)
        bench.ledger.release(bench.queue, [("a", "new")])
        bench.prune(far_us)
        fact = bench.the_fact("a")
        assert (fact.state, fact.until_us) == (State.DELETED, 0)
        assert bench.claim(bench.wish("a", "newest"), now_us=NOW_US + 3) == [GRANTED]

    def test_stale_claims_are_those_before_a_time_oldest_first_up_to_a_limit(self, bench: LedgerBench) -> None:
        for seconds in (3, 1, 2, 4):
            bench.claimed(f"task-{seconds}", f"copy-{seconds}", now_us=NOW_US + seconds * SECOND_US)
        bench.claimed("confirmed", "copy")
        bench.ledger.confirm(bench.queue, [("confirmed", "copy")], NOW_US)
        before_us = NOW_US + 4 * SECOND_US
        assert [claim.message.key for claim in stale_here(bench, before_us)] == ["task-1", "task-2", "task-3"]
        assert len(bench.ledger.stale_claims(before_us, 2)) == 2


def stale_here(bench: LedgerBench, before_us: int) -> list[Claim]:
    """The stale claims of this test."""
    claims = bench.ledger.stale_claims(before_us, 100_000)
    return [claim for claim in claims if claim.message.queue == bench.queue]
