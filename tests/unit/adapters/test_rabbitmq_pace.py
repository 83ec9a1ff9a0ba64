"""When a subscription keeps deliveries at hand, and how many."""

from gae_broker_adapters.brokers.rabbitmq.receiving.pace import IDLE_S, LARGEST, SLOW_S, Pace


def worked(pace, *, begin_s, count, each_s, pause_s=0.0):
    """Ask for one, get it, ``count`` times; the time of the end."""
    now_s = begin_s
    for _ in range(count):
        pace.asked(now_s)
        pace.delivered(1, now_s)
        pace.idle(now_s)
        now_s += each_s + pause_s
    return now_s


def test_a_queue_is_slow_until_it_was_asked_again_soon():
    pace = Pace()
    pace.asked(100.0)
    pace.idle(100.0)
    assert pace.is_slow(100.0)
    pace.asked(100.0 + SLOW_S / 2)
    assert not pace.is_slow(100.0 + SLOW_S / 2)


def test_a_queue_that_is_not_asked_for_a_while_is_slow_again():
    pace = Pace()
    end_s = worked(pace, begin_s=100.0, count=10, each_s=0.01)
    assert not pace.is_slow(end_s)
    assert pace.is_slow(end_s + SLOW_S * 1.1)
    pace.asked(end_s + SLOW_S * 2)
    assert pace.is_slow(end_s + SLOW_S * 2)  # nothing says that the next demand comes sooner


def test_idle_counts_from_the_first_moment_without_demand():
    pace = Pace()
    pace.asked(100.0)
    assert pace.idle_s(200.0) == 0.0
    pace.idle(200.0)
    pace.idle(200.5)
    assert pace.idle_s(200.0 + IDLE_S) == IDLE_S


def test_of_a_slow_queue_nothing_is_kept_at_hand():
    assert Pace().prefetch(7, 100.0) == 7


def test_of_a_fast_queue_a_quarter_of_a_seconds_deliveries_is_kept_but_no_more_than_is_needed():
    pace = Pace()
    end_s = worked(pace, begin_s=100.0, count=200, each_s=0.005)
    assert pace.prefetch(1000, end_s) == 1050
    assert pace.prefetch(10, end_s) == 20
    assert pace.prefetch(LARGEST, end_s) == LARGEST
    assert pace.prefetch(0, end_s) == 1
