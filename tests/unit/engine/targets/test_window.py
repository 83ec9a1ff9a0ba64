"""How many requests a server gets at a time."""

from __future__ import annotations

from gae_broker.engine.targets.window import LEAST, Window


def after(periods, *, limit=1000):
    """The size after periods in which so many requests ended; each of them with more to send."""
    window = Window()
    for ended in periods:
        window.filled()
        for _ in range(ended):
            window.ended()
        window.period(limit)
    return window.size(limit)


def test_a_fast_server_is_sent_a_few_at_a_time():
    assert after([500] * 100) == LEAST


def test_a_slow_server_is_soon_sent_all_that_is_allowed():
    assert after([0] * 4) == 1000
    assert after([0] * 4, limit=300) == 300
    assert after([0] * 4, limit=3) == 3


def test_a_server_that_becomes_fast_again_is_sent_fewer():
    assert after([0] * 4 + [5000] * 4) == LEAST


def test_a_window_that_is_not_full_does_not_open():
    window = Window()
    for _ in range(10):
        window.period(1000)
    assert window.size(1000) == LEAST


def test_a_fast_server_is_sent_larger_batches_and_a_slow_one_each_as_soon_as_it_can():
    window = Window()
    assert window.room(LEAST - 1, 1000) == 1
    for _ in range(LEAST * 10):
        window.ended()
    window.period(1000)
    assert window.room(LEAST - 1, 1000) == 0
    assert window.room(LEAST // 2, 1000) == LEAST // 2
    window.period(1000)
    assert window.room(LEAST - 1, 1000) == 1
