"""The clock that tests move."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gae_broker.testing.clock import VirtualClock


class Source:
    """A settable time."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_it_follows_its_source_and_what_was_advanced() -> None:
    source = Source()
    clock = VirtualClock(source)
    assert clock.now_us() == 1_000_000_000
    source.seconds = 1_001.5
    assert clock.now_us() == 1_001_500_000
    clock.advance(2)
    clock.advance(timedelta(minutes=1))
    assert clock.now_us() == 1_063_500_000
    assert clock.time() == pytest.approx(1_063.5, abs=1e-5)


def test_no_two_readings_are_equal_however_long_the_source_stands_still() -> None:
    clock = VirtualClock(lambda: 1_000.0)
    readings = [clock.now_us() for _ in range(5_000)]
    assert readings == list(range(1_000_000_000, 1_000_005_000))


def test_a_source_that_is_set_back_is_followed() -> None:
    source = Source()
    clock = VirtualClock(source)
    clock.now_us()
    source.seconds = 500.0
    assert clock.now_us() == 500_000_000


def test_held_it_moves_by_what_is_advanced_and_one_tick_a_reading() -> None:
    source = Source()
    clock = VirtualClock(source)
    clock.hold()
    source.seconds = 2_000.0
    assert clock.held
    assert [clock.now_us(), clock.now_us()] == [1_000_000_001, 1_000_000_002]
    clock.advance(1)
    assert clock.now_us() == 1_001_000_003
    clock.release()
    assert not clock.held
    source.seconds += 1
    assert clock.now_us() == 1_002_000_003


def test_advance_to_a_time_that_is_over_does_nothing() -> None:
    clock = VirtualClock(Source())
    clock.advance_to_us(1_005_000_000)
    assert clock.now_us() == 1_005_000_000
    clock.advance_to_us(1_002_000_000)
    assert clock.now_us() == 1_005_000_001


def test_another_source_forgets_what_was_advanced() -> None:
    clock = VirtualClock(Source())
    clock.advance(100)
    clock.follow(lambda: 7.0)
    assert clock.now_us() == 7_000_000


@pytest.mark.parametrize("by", [-1, -0.001, float("nan"), timedelta(seconds=-5)])
def test_time_does_not_run_backwards(by: float | timedelta) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        VirtualClock(Source()).advance(by)


def test_by_default_it_is_the_systems_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 42.0)
    assert VirtualClock().now_us() == 42_000_000
