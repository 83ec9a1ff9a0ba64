"""The HeldTasks' obligations."""

from __future__ import annotations

import threading

import pytest

from gae_broker.ports import Fact, Held, State
from gae_broker.testing.contracts.ledger_bench import (
    DAY_US,
    NOW_US,
    SECOND_US,
    LedgerAdoption,
    LedgerBench,
)
from gae_broker.testing.contracts.ledger_rival import race

LEASE_US = NOW_US + 60 * SECOND_US


class HeldTasksContract(LedgerAdoption):
    """`gae_broker.ports.HeldTasks`; the numbers in the names are those of ``lease_held``."""

    def test_held_ready_is_what_was_due_before_now_in_order(self, bench: LedgerBench) -> None:
        for name, tag, due_us in (
            ("b", "red", NOW_US - 1),
            ("a", "blue", NOW_US - 1),
            ("c", "red", NOW_US - 2),
            ("due-now", "red", NOW_US),
            ("later", "red", NOW_US + 1),
        ):
            bench.held(name, tag, due_us=due_us)
        bench.live("untagged", "copy", due_us=NOW_US - 9)
        ready = [(NOW_US - 2, "c", "red"), (NOW_US - 1, "a", "blue"), (NOW_US - 1, "b", "red")]
        assert bench.ledger.held_ready(bench.queue, 10, NOW_US) == ready
        assert bench.ledger.held_ready(bench.queue, 2, NOW_US) == ready[:2]
        assert bench.ledger.held_ready(f"{bench.queue}-other", 10, NOW_US) == []

    def test_lease_held_1_sets_eta_and_counts(self, bench: LedgerBench) -> None:
        message = bench.held("a", "red", due_us=NOW_US - 5, created_us=NOW_US - 7, named=True)
        leased = bench.ledger.lease_held(bench.queue, None, 10, NOW_US, LEASE_US)
        assert leased == [Held(message, "red", LEASE_US, 1, NOW_US - 7, named=True)]
        assert bench.fact("a") == Fact(State.LIVE, None, LEASE_US, 1, 0, NOW_US, held=True)
        assert bench.ledger.lease_held(bench.queue, None, 10, NOW_US, LEASE_US) == []
        (again,) = bench.ledger.lease_held(bench.queue, None, 10, LEASE_US + 1, LEASE_US + 2)
        assert (again.eta_us, again.leases) == (LEASE_US + 2, 2)

    def test_lease_held_1_rival_processes_never_get_the_same(self, shared: LedgerBench) -> None:
        names = [f"task-{number:03}" for number in range(200)]
        for name in names:
            shared.held(name)
        won = race([shared.start_rival("lease") for _ in range(2)])
        assert sorted(name for leased in won for name in leased) == names

    def test_lease_held_1_rival_threads_never_get_the_same(self, bench: LedgerBench) -> None:
        names = [f"task-{number:03}" for number in range(100)]
        for name in names:
            bench.held(name)
        won: list[str] = []

        def lease() -> None:
            while bench.ledger.held_ready(bench.queue, 1, NOW_US):
                leased = bench.ledger.lease_held(bench.queue, None, 3, NOW_US, LEASE_US)
                won.extend(held.message.key for held in leased)

        threads = [threading.Thread(target=lease) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == names

    def test_lease_held_2_in_order_of_before_the_lease(self, bench: LedgerBench) -> None:
        for name, due_us in (("b", NOW_US - 1), ("a", NOW_US - 1), ("z", NOW_US - 9), ("now", NOW_US)):
            bench.held(name, due_us=due_us)
        first = bench.ledger.lease_held(bench.queue, None, 2, NOW_US, LEASE_US)
        assert [held.message.key for held in first] == ["z", "a"]
        rest = bench.ledger.lease_held(bench.queue, None, 10, NOW_US, LEASE_US)
        assert [held.message.key for held in rest] == ["b"]

    @pytest.mark.parametrize(
        "tag",
        ["red", "grün 🟢", "a'b\"c", "nul\0", "\ud800", "", "🟢" * 500],
        ids=["plain", "unicode", "quotes", "nul", "surrogate", "empty", "longest"],
    )
    def test_lease_held_of_one_tag(self, bench: LedgerBench, tag: str) -> None:
        for number in range(3):
            bench.held(f"other-{number}", f"{tag}-other", due_us=NOW_US - 9)
            bench.held(f"task-{number}", tag)
        leased = bench.ledger.lease_held(bench.queue, tag, 2, NOW_US, LEASE_US)
        assert [(held.message.key, held.tag) for held in leased] == [("task-0", tag), ("task-1", tag)]
        assert len(bench.ledger.held_ready(bench.queue, 10, NOW_US)) == 4
        assert bench.ledger.lease_held(bench.queue, "no such tag", 2, NOW_US, LEASE_US) == []

    def test_move_held_needs_the_expected_eta(self, bench: LedgerBench) -> None:
        bench.held("a", due_us=NOW_US)
        assert not bench.ledger.move_held(bench.queue, "a", NOW_US + 1, LEASE_US, NOW_US)
        assert bench.ledger.move_held(bench.queue, "a", NOW_US, LEASE_US, NOW_US + 3)
        assert bench.fact("a") == Fact(State.LIVE, None, LEASE_US, 0, 0, NOW_US + 3, held=True)
        assert not bench.ledger.move_held(bench.queue, "a", NOW_US, LEASE_US + 1, NOW_US)

    def test_move_held_needs_a_live_held_task(self, bench: LedgerBench) -> None:
        bench.live("not-held", "copy", due_us=NOW_US)
        bench.held("deleted", due_us=NOW_US, named=True)
        bench.delete("deleted")
        for name in ("not-held", "deleted", "absent"):
            assert not bench.ledger.move_held(bench.queue, name, NOW_US, LEASE_US, NOW_US)
        assert bench.the_fact("not-held").eta_us == NOW_US

    def test_held_lists_in_order_page_by_page(self, bench: LedgerBench) -> None:
        dues_us = [NOW_US + DAY_US, NOW_US, NOW_US, NOW_US - DAY_US, NOW_US]
        for number, due_us in enumerate(dues_us):
            bench.held(f"task-{number}", due_us=due_us)
        listed: list[Held] = []
        after: tuple[int, str] | None = None
        while page := bench.ledger.held(bench.queue, 2, after):
            listed += page
            after = (page[-1].eta_us, page[-1].message.key)
        assert [held.message.key for held in listed] == ["task-3", "task-1", "task-2", "task-4", "task-0"]
        assert listed[0] == Held(listed[0].message, "tag", NOW_US - DAY_US, 0, NOW_US, named=False)
        assert listed[0].message == bench.message("task-3", "copy-of-task-3", NOW_US - DAY_US)

    def test_held_messages_come_back_whole(self, bench: LedgerBench) -> None:
        message = bench.held("a", due_us=NOW_US - 5)
        (held,) = bench.ledger.held(bench.queue, 1, None)
        assert held.message == message
        bench.ledger.move_held(bench.queue, "a", NOW_US - 5, LEASE_US, NOW_US)
        (held,) = bench.ledger.held(bench.queue, 1, None)
        assert (held.message, held.eta_us) == (message, LEASE_US)

    def test_held_depth_counts_and_finds_the_smallest_eta(self, bench: LedgerBench) -> None:
        assert bench.ledger.held_depth(bench.queue) == (0, None)
        bench.live("not-held", "copy", due_us=NOW_US - 9)
        for number in range(3):
            bench.held(f"task-{number}", f"tag-{number}", due_us=NOW_US + number)
        bench.delete("task-0")
        assert bench.ledger.held_depth(bench.queue) == (2, NOW_US + 1)
