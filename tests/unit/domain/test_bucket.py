"""The token bucket: burst, rate, precision, idleness."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain.bucket import BUSY_S, Bucket, empty, full

S = 1_000_000


def test_first_owner_bursts_by_exactly_the_size_and_successor_by_nothing() -> None:
    assert full(5.0, 7, 0).available(0) == 7
    assert empty(5.0, 7, 0).available(0) == 0
    assert full(5.0, 7, 0).available(3600 * S) == 7


@pytest.mark.parametrize(
    ("rate", "size", "tokens", "want", "wait_s"),
    [
        (5.0, 5, 5.0, 5, 0.0),
        (5.0, 5, 0.0, 1, 0.2),
        (5.0, 5, 0.5, 1, 0.1),
        (0.0, 5, 1.0, 1, 0.0),
        (0.0, 5, 0.0, 1, math.inf),
        (5.0, 5, 0.0, 6, math.inf),
        (1 / 60, 1, 0.0, 1, 60.0),
        (3.0, 5, 0.0, 1, 0.333334),
    ],
)
def test_wait(rate: float, size: int, tokens: float, want: int, wait_s: float) -> None:
    assert Bucket(rate, size, tokens, 0).wait_s(want, 0) == pytest.approx(wait_s, abs=1e-9)


def test_token_is_there_after_the_wait_whatever_the_rate() -> None:
    for rate in (0.01, 0.3, 1 / 3, 7.0, 99.9, 500.0):
        bucket = empty(rate, 1, 0)
        assert bucket.available(round(bucket.wait_s(1, 0) * S)) == 1


def test_more_than_there_is_cannot_be_taken() -> None:
    with pytest.raises(ValueError, match="2 tokens wanted"):
        full(1.0, 1, 0).take(2, 0)


def test_size_zero_counts_as_one_since_nothing_could_ever_run() -> None:
    assert full(1.0, 0, 0).available(0) == 1


def test_clock_that_goes_backwards_gives_nothing() -> None:
    assert empty(5.0, 5, 10 * S).available(3 * S) == 0


def test_given_back_tokens_never_exceed_the_size() -> None:
    assert full(1.0, 3, 0).take(2, 0).give_back(2, 0).available(0) == 3
    assert full(1.0, 3, 0).give_back(2, 0).available(0) == 3


def test_new_rate_keeps_the_content_as_far_as_it_fits() -> None:
    bucket = full(5.0, 10, 0)
    assert bucket.configured(1.0, 4, 0).available(0) == 4
    assert bucket.configured(1.0, 20, 0).available(0) == 10
    assert bucket.configured(5.0, 10, 0) is bucket
    assert empty(0.0, 5, 0).configured(5.0, 5, 60 * S).available(60 * S) == 0


@pytest.mark.parametrize("rate", [100.0, 500.0])
@pytest.mark.parametrize("size", [1, 5, 100])
@pytest.mark.parametrize("late_us", [0, 700, 2_900])
def test_busy_queue_keeps_its_rate_within_one_percent_over_30_s(rate: float, size: int, late_us: int) -> None:
    """A dispatcher that is always late: by its timer and by the way to the broker. Time is counted, not waited for."""
    bucket, now_us, taken = full(rate, size, 0), 0, 0
    while now_us < 30 * S:
        count = bucket.available(now_us)
        if count:
            bucket, taken = bucket.take(count, now_us), taken + count
        now_us += math.ceil(bucket.wait_s(1, now_us) * S) + late_us
    assert taken - size == pytest.approx(30 * rate, rel=0.01)


def test_idle_queue_bursts_by_its_size_only() -> None:
    bucket = full(500.0, 5, 0).take(5, 0)
    later_us = round(BUSY_S * S) + 1
    assert bucket.available(later_us) == 5


@given(
    rate=st.floats(0.01, 1000.0),
    size=st.integers(1, 200),
    steps=st.lists(st.tuples(st.integers(0, 2 * S), st.floats(0.0, 1.0)), max_size=60),
)
def test_no_window_holds_more_than_the_bucket_allows(rate: float, size: int, steps: list[tuple[int, float]]) -> None:
    bucket, now_us = full(rate, size, 0), 0
    taken: list[tuple[int, int]] = []
    for gap_us, share in steps:
        now_us += gap_us
        count = int(bucket.available(now_us) * share)
        if count:
            bucket = bucket.take(count, now_us)
            taken.append((now_us, count))
    for first, (start_us, _) in enumerate(taken):
        idle_before = first == 0 or start_us - taken[first - 1][0] >= BUSY_S * S
        burst = size if idle_before else max(size, rate * BUSY_S)
        total = 0
        for at_us, count in taken[first:]:
            total += count
            assert total <= burst + (at_us - start_us) * rate / S + 1e-6
            burst = max(size, rate * BUSY_S)
