"""A queue's pace, in virtual time: nothing here waits."""

from __future__ import annotations

import math

import pytest

from gae_broker.domain.queue import Queue
from gae_broker.engine.dispatcher.pacer import Pacer

S = 1_000_000
MANY = 10_000


def owned(queue, now_us=0):
    pacer = Pacer(queue, now_us)
    pacer.own_first(now_us)
    return pacer


def dispatched(pacer, until_us, *, late_us=0, now_us=0, limit=MANY):
    """(time, count) of what a queue with endless backlog begins; each look comes ``late_us`` late."""
    begun = []
    while now_us < until_us:
        grant = pacer.grant(limit, now_us)
        if grant.count:
            begun.append((now_us, pacer.take(grant.count, now_us)))
        else:
            now_us += math.ceil(min(grant.wait_s, 1.0) * S)
        now_us += late_us
    return begun


@pytest.mark.parametrize("rate", [100.0, 500.0])
@pytest.mark.parametrize("size", [1, 5, 50])
@pytest.mark.parametrize("late_us", [1, 1_500, 4_000])
def test_rate_is_kept_within_a_percent_over_30_s_after_a_burst_of_the_size(rate, size, late_us):
    begun = dispatched(owned(Queue("q", rate_per_s=rate, bucket_size=size)), 30 * S, late_us=late_us)
    assert begun[0] == (0, size)
    assert sum(count for _, count in begun[1:]) == pytest.approx(30 * rate, rel=0.01)


def test_error_does_not_accumulate_over_a_day():
    begun = dispatched(owned(Queue("q", rate_per_s=1 / 3, bucket_size=1)), 86_400 * S, late_us=1)
    assert sum(count for _, count in begun) == 86_400 // 3


def test_a_fast_queue_goes_in_batches_and_a_slow_one_task_by_task():
    fast = dispatched(owned(Queue("q", rate_per_s=10_000.0, bucket_size=500)), 2 * S, late_us=1)
    assert len(fast) < 250
    slow = dispatched(owned(Queue("q", rate_per_s=20.0, bucket_size=1)), 2 * S, late_us=1)
    assert {count for _, count in slow} == {1}


def test_the_limit_is_never_exceeded_and_no_limit_asks_for_nothing():
    pacer = owned(Queue("q", rate_per_s=100.0, bucket_size=100))
    assert pacer.grant(7, 0).count == 7
    assert pacer.grant(0, 0) == pacer.grant(-3, 0)
    assert pacer.grant(0, 0).count == 0


def test_rate_zero_grants_nothing_even_from_a_full_bucket():
    pacer = owned(Queue("q", rate_per_s=5.0, bucket_size=5))
    pacer.configure(Queue("q", rate_per_s=0.0, bucket_size=5))
    assert pacer.grant(10, S).count == 0
    assert pacer.grant(10, S).wait_s == math.inf
    assert pacer.take(3, S) == 0


def test_a_new_rate_applies_at_once():
    pacer = owned(Queue("q", rate_per_s=1.0, bucket_size=1))
    pacer.take(1, 0)
    pacer.configure(Queue("q", rate_per_s=100.0, bucket_size=1))
    begun = dispatched(pacer, 2 * S, now_us=0, late_us=1)
    assert sum(count for _, count in begun) == pytest.approx(200, rel=0.02)


@pytest.mark.parametrize(
    ("idle_s", "tokens"),
    [(0.0, 0), (1.0, 0), (1.5, 2), (2.0, 5), (3600.0, 5)],
)
def test_a_take_over_starts_with_what_has_flowed_in_since_the_last_report(idle_s, tokens):
    pacer = Pacer(Queue("q", rate_per_s=5.0, bucket_size=5), 0)
    pacer.take_over(idle_s, 0)
    assert pacer.take(MANY, 0) == tokens


def test_tasks_that_did_not_begin_give_their_tokens_back():
    pacer = owned(Queue("q", rate_per_s=1.0, bucket_size=5))
    assert pacer.take(5, 0) == 5
    pacer.give_back(2, 0)
    assert pacer.take(5, 0) == 2


def test_a_503_slows_the_queue_down_and_it_recovers_by_itself():
    pacer = owned(Queue("q", rate_per_s=100.0, bucket_size=1))
    pacer.finished(503, 0)
    assert pacer.enforced_rate(0) == 50.0
    assert 45 <= sum(count for _, count in dispatched(pacer, S, late_us=1)) <= 55
    assert pacer.enforced_rate(10 * S) == 100.0
    later = dispatched(pacer, 32 * S, now_us=30 * S, late_us=1)
    assert sum(count for _, count in later) == pytest.approx(200, rel=0.02)


def test_attempts_of_the_last_minute():
    pacer = owned(Queue("q"))
    for second in range(100):
        pacer.finished(200, second * S)
    assert pacer.executed_last_minute(99 * S) == 60
    assert pacer.executed_last_minute(130 * S) == 29
    assert pacer.executed_last_minute(1000 * S) == 0
