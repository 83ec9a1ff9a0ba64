"""What a ledger's check says of its clock, and of a file that is yet to be made."""

from __future__ import annotations

import time

from gae_broker.ports import CheckStatus
from gae_broker_adapters.ledgers.sql import open_ledger


class Shifted:
    """The host's clock, put forward or back."""

    def __init__(self, by_s: float) -> None:
        self._by_us = round(by_s * 1_000_000)

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self._by_us


def clock_check(url: str, by_s: float):
    ledger = open_ledger(url, clock=Shifted(by_s))
    try:
        ledger.migrate()
        return {check.name: check for check in ledger.check()}.get("ledger clock")
    finally:
        ledger.close()


def test_a_server_whose_clock_agrees_is_fine_and_one_that_is_apart_is_told(postgresql_url) -> None:
    assert clock_check(postgresql_url, 0.0).status is CheckStatus.OK
    for by_s in (-3600.0, 3600.0):
        found = clock_check(postgresql_url, by_s)
        assert found.status is CheckStatus.WARNING
        assert "3600.0 s apart" in found.text or "3599." in found.text


def test_a_file_has_no_clock(tmp_path) -> None:
    assert clock_check(f"sqlite:///{tmp_path}/ledger.db", 3600.0) is None


def test_a_file_that_is_yet_to_be_made_is_no_fault_and_is_not_made(tmp_path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", clock=Shifted(0.0))
    (check,) = ledger.check()
    assert check.status is CheckStatus.WARNING
    assert "`gae-broker deploy`" in check.text
    assert list(tmp_path.iterdir()) == []
    ledger.close()
