"""503 and 429 lower a queue's rate; it recovers by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain.throttle import FLOOR, REACTION_S, Throttle

S = 1_000_000


@pytest.mark.parametrize("status", [None, 200, 204, 302, 404, 408, 500, 502, 504])
def test_other_answers_do_not_slow_a_queue_down(status: int | None) -> None:
    assert Throttle().answered(status, 0).rate(5.0, 0) == 5.0


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_halves_the_rate_at_once(status: int) -> None:
    assert Throttle().answered(status, 7).rate(5.0, 7) == 2.5


def test_a_burst_of_refusals_counts_once_per_reaction_time() -> None:
    throttle = Throttle()
    for at_us in range(0, round(REACTION_S * S), 10_000):
        throttle = throttle.answered(503, at_us)
    assert throttle.share_at(0) == 0.5
    throttle = throttle.answered(503, round(REACTION_S * S))
    assert throttle.share_at(round(REACTION_S * S)) == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize(("after_s", "share"), [(0, 0.5), (5, 0.5 * 2**0.5), (10, 1.0), (11, 1.0), (10**9, 1.0)])
def test_recovery_takes_ten_seconds_a_doubling(after_s: int, share: float) -> None:
    assert Throttle().answered(503, 0).share_at(after_s * S) == pytest.approx(share)


def test_endless_refusals_end_at_the_floor_and_a_quiet_minute_or_so_restores_the_rate() -> None:
    throttle, now_us = Throttle(), 0
    for _ in range(1000):
        throttle = throttle.answered(503, now_us)
        now_us += S
    assert throttle.share_at(now_us) < 2 * FLOOR
    assert throttle.rate(100.0, now_us) > 0
    assert throttle.rate(100.0, now_us + 70 * S) == 100.0


def test_a_paused_queue_stays_paused() -> None:
    assert Throttle().answered(503, 0).rate(0.0, S) == 0.0


@given(st.lists(st.tuples(st.integers(0, 100 * S), st.sampled_from([None, 200, 429, 500, 503]))))
def test_share_is_never_outside_its_bounds_and_never_raised_by_an_answer(
    answers: list[tuple[int, int | None]],
) -> None:
    throttle, now_us = Throttle(), 0
    for gap_us, status in answers:
        now_us += gap_us
        before = throttle.share_at(now_us)
        throttle = throttle.answered(status, now_us)
        assert FLOOR <= throttle.share_at(now_us) <= 1.0
        assert throttle.share_at(now_us) <= max(before, FLOOR)
