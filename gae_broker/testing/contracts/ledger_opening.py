"""The obligations of a Ledger as a whole: opening, migrating, checking, closing, and saying what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from gae_broker.errors import LedgerUnavailableError
from gae_broker.ports import CheckStatus
from gae_broker.testing.contracts.ledger_bench import (
    NOW_US,
    UNTIL_US,
    FixedClock,
    LedgerAdoption,
    LedgerBench,
    open_ledger,
)
from gae_broker.testing.contracts.ledger_rival import race


class OpeningContract(LedgerAdoption):
    """`gae_broker.ports.Ledger`."""

    def test_migrate_is_idempotent_and_keeps_every_row(self, bench: LedgerBench) -> None:
        bench.live("a", "copy")
        before = bench.fact("a")
        bench.ledger.migrate()
        assert bench.fact("a") == before

    def test_migrate_from_several_processes_at_once(self, shared: LedgerBench) -> None:
        assert race([shared.start_rival("migrate") for _ in range(3)]) == [["migrated"]] * 3
        assert shared.ledger.control(shared.queue).paused

    def test_rows_are_seen_by_other_objects_and_outlive_them(self, shared: LedgerBench) -> None:
        other = shared.open()
        shared.live("a", "copy")
        before = shared.fact("a")
        assert other.facts(shared.queue, ["a"]) == {"a": before}
        shared.ledger.close()
        other.close()
        assert shared.open().facts(shared.queue, ["a"]) == {"a": before}

    def test_check_finds_nothing_wrong(self, bench: LedgerBench) -> None:
        checks = bench.ledger.check()
        assert checks
        assert {check.status for check in checks if check.name == "ledger"} == {CheckStatus.OK}

    def test_check_tells_of_claims_that_nobody_completes(self, bench: LedgerBench) -> None:
        bench.claimed("a", "copy", now_us=NOW_US - 3600 * 1_000_000)
        warnings = [check for check in bench.ledger.check() if check.status is CheckStatus.WARNING]
        assert [check.name for check in warnings if "half done" in check.text] == ["ledger claims"]

    def test_check_never_raises(self, bench: LedgerBench) -> None:
        bench.ledger.close()
        (check,) = bench.ledger.check()
        assert check.status is CheckStatus.FAILED

    def test_close_is_idempotent_and_final(self, bench: LedgerBench) -> None:
        bench.ledger.close()
        bench.ledger.close()
        with pytest.raises(LedgerUnavailableError, match="closed"):
            bench.live("a", "copy")
        with pytest.raises(LedgerUnavailableError, match="closed"):
            bench.fact("a")

    def test_close_of_what_was_never_used(self, ledger_url: str) -> None:
        open_ledger(self.opener, ledger_url, FixedClock()).close()

    def test_an_obstructed_ledger_says_so_and_does_nothing(
        self,
        bench: LedgerBench,
        obstruction: Callable[[], AbstractContextManager[object]],
    ) -> None:
        bench.live("a", "copy")
        before = bench.fact("a")
        with obstruction():
            with pytest.raises(LedgerUnavailableError):
                bench.claim(bench.wish("b", "copy"))
            with pytest.raises(LedgerUnavailableError):
                bench.ledger.finish(bench.queue, [("a", "copy")], NOW_US, UNTIL_US)
            assert CheckStatus.FAILED in {check.status for check in bench.ledger.check()}
        assert bench.ledger.facts(bench.queue, ["a", "b"]) == {"a": before}
        bench.live("b", "copy")
