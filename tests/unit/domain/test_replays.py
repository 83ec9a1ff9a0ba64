"""A signature is taken once, and never again while it would be valid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain.replays import Replays
from gae_broker.domain.signing import Refusal

S = 1_000_000
WINDOW = 10 * S
NOW = 1_700_000_000 * S


def mac(number):
    return number.to_bytes(32, "big")


def test_the_second_time_is_a_replay():
    replays = Replays(WINDOW)
    assert replays.refusal(mac(1), NOW) is None
    assert replays.remember(mac(1), NOW, NOW) is None
    assert replays.refusal(mac(1), NOW) is Refusal.REPLAYED
    assert replays.remember(mac(1), NOW, NOW + WINDOW) is Refusal.REPLAYED
    assert replays.remember(mac(2), NOW, NOW) is None


def test_what_the_window_refuses_is_forgotten():
    replays = Replays(WINDOW)
    for number in range(100):
        replays.remember(mac(number), NOW, NOW)
    assert len(replays) == 100
    replays.remember(mac(1000), NOW + WINDOW + 2 * S, NOW + WINDOW + 2 * S)
    assert len(replays) == 1


def test_a_clock_that_is_set_back_does_not_bring_back_what_was_forgotten():
    replays = Replays(WINDOW)
    replays.remember(mac(1), NOW, NOW)
    replays.remember(mac(2), NOW + WINDOW + 2 * S, NOW + WINDOW + 2 * S)
    assert replays.remember(mac(1), NOW, NOW) is Refusal.OVERRUN


def test_too_many_shorten_the_window():
    replays = Replays(WINDOW, capacity=3)
    for number in range(4):
        assert replays.remember(mac(number), NOW + number * S, NOW) is None
    assert len(replays) == 3
    assert replays.remember(mac(0), NOW, NOW) is Refusal.OVERRUN
    assert replays.remember(mac(9), NOW, NOW) is Refusal.OVERRUN
    assert replays.remember(mac(3), NOW + 3 * S, NOW) is Refusal.REPLAYED
    assert replays.remember(mac(9), NOW + 4 * S, NOW) is None


@pytest.mark.parametrize("capacity", [1, 2, 1000])
@given(arrivals=st.lists(st.tuples(st.integers(0, 8), st.integers(-12, 12), st.integers(-3, 8)), max_size=60))
def test_none_is_ever_taken_twice(capacity, arrivals):
    """Whatever arrives in whatever order, with a clock that jumps: the verifier's window is applied as it is there."""
    replays = Replays(WINDOW, capacity)
    taken = set()
    now = NOW
    for number, age_s, step_s in arrivals:
        now += step_s * S
        time_us = NOW + (number % 3 + age_s // 12) * S
        if abs(now - time_us) <= WINDOW and replays.remember(mac(number), time_us, now) is None:
            assert (number, time_us) not in taken
            taken.add((number, time_us))
    assert len(replays) <= capacity
