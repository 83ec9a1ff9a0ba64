"""The obligations of Controls and Payloads."""

from __future__ import annotations

import secrets

from gae_broker.ports import Control, Report
from gae_broker.testing.contracts.ledger_bench import NOW_US, UNTIL_US, LedgerAdoption, LedgerBench
from gae_broker.testing.contracts.ledger_rival import race


class ControlsContract(LedgerAdoption):
    """`gae_broker.ports.Controls`."""

    def test_control_has_defaults_where_nothing_was_set(self, bench: LedgerBench) -> None:
        assert bench.ledger.control(bench.queue) == Control()

    def test_set_paused_pauses_and_resumes_for_everybody(self, shared: LedgerBench) -> None:
        other = shared.open()
        for paused in (True, True, False, True):
            shared.ledger.set_paused(shared.queue, paused)
            assert other.control(shared.queue).paused is paused
        assert not other.control(f"{shared.queue}-other").paused

    def test_set_paused_leaves_the_rest(self, bench: LedgerBench) -> None:
        bench.ledger.purge(bench.queue, NOW_US, NOW_US, UNTIL_US)
        epoch = bench.ledger.take_ownership(bench.queue, "me")
        report = Report(7, 3, 4.5, NOW_US)
        assert bench.ledger.report(bench.queue, epoch, report)
        bench.ledger.set_paused(bench.queue, True)
        assert bench.ledger.control(bench.queue) == Control(True, NOW_US, epoch, report, "me")

    def test_take_ownership_begins_a_greater_epoch(self, bench: LedgerBench) -> None:
        epochs = [bench.ledger.take_ownership(bench.queue, owner) for owner in ("a", "b", "b", "a")]
        assert epochs == sorted(set(epochs))
        assert epochs[0] > Control().epoch
        control = bench.ledger.control(bench.queue)
        assert (control.epoch, control.owner) == (epochs[-1], "a")

    def test_take_ownership_gives_rivals_different_epochs(self, shared: LedgerBench) -> None:
        taken = race([shared.start_rival("own") for _ in range(2)])
        epochs = [int(epoch) for mine in taken for epoch in mine]
        assert len(set(epochs)) == len(epochs) == 60
        assert shared.ledger.control(shared.queue).epoch == max(epochs)

    def test_report_is_stored_for_the_latest_epoch_only(self, bench: LedgerBench) -> None:
        first = bench.ledger.take_ownership(bench.queue, "first")
        old, new = Report(1, 2, 0.5, NOW_US), Report(9, 8, 7.25, NOW_US + 1)
        assert bench.ledger.report(bench.queue, first, old)
        assert bench.ledger.control(bench.queue).report == old
        second = bench.ledger.take_ownership(bench.queue, "second")
        assert not bench.ledger.report(bench.queue, first, new)
        assert bench.ledger.control(bench.queue).report == old
        assert bench.ledger.report(bench.queue, second, new)
        assert bench.ledger.control(bench.queue).report == new

    def test_report_without_ownership(self, bench: LedgerBench) -> None:
        assert not bench.ledger.report(bench.queue, 1, Report(1, 1, 1.0, NOW_US))
        assert bench.ledger.control(bench.queue) == Control()


class PayloadsContract(LedgerAdoption):
    """`gae_broker.ports.Payloads`."""

    def test_payloads_are_kept_until_they_are_deleted(self, bench: LedgerBench) -> None:
        key, other = secrets.token_hex(8), secrets.token_hex(8)
        body = bytes(range(256)) * 8192
        bench.ledger.put_payload(key, body, NOW_US)
        bench.ledger.put_payload(other, b"", NOW_US)
        assert bench.ledger.get_payload(key) == body
        assert bench.ledger.get_payload(other) == b""
        bench.ledger.delete_payload(key)
        assert bench.ledger.get_payload(key) is None
        assert bench.ledger.get_payload(other) == b""

    def test_payloads_unknown(self, bench: LedgerBench) -> None:
        key = secrets.token_hex(8)
        assert bench.ledger.get_payload(key) is None
        bench.ledger.delete_payload(key)

    def test_payloads_stored_again_are_replaced(self, bench: LedgerBench) -> None:
        key = secrets.token_hex(8)
        bench.ledger.put_payload(key, b"first", NOW_US)
        bench.ledger.put_payload(key, b"second", NOW_US)
        assert bench.ledger.get_payload(key) == b"second"
