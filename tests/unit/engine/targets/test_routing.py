"""Which target a name leads to, and how many attempts a target is given."""

from __future__ import annotations

import pytest

from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.gauge import Gauge
from gae_broker.engine.targets.hand import Hand
from gae_broker.engine.targets.routing import route, unknown
from gae_broker.engine.targets.target import Job

REQUEST = HttpRequest("GET", "/", (), b"", None, 1)


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        ({"default"}, None, "default"),
        ({"default"}, "", "default"),
        ({"default"}, "v1.api", "default"),
        ({"default", "api"}, "v1.api", "api"),
        ({"default", "api", "v1.api"}, "v1.api", "v1.api"),
        ({"default", "v1.api"}, "api", "default"),
        ({"default", "v1"}, "v1.api", "default"),
        ({"api"}, "api", "api"),
        ({"api"}, None, None),
        ({"api"}, "v1.other", None),
        (set(), None, None),
    ],
)
def test_a_name_falls_back_from_version_to_module_to_default(names, wanted, found):
    assert route(dict.fromkeys(names), wanted) == found


def test_an_unknown_target_is_named_together_with_the_known_ones():
    assert unknown("v1.api", ["web", "default"]) == "no target 'v1.api' is configured (known: default, web)"
    assert unknown(None, []) == "no target 'default' is configured (known: none)"


def observed(*durations_s):
    gauge = Gauge()
    for duration_s in durations_s:
        gauge.observe(duration_s)
    return gauge


def test_unknown_and_slow_handlers_get_no_more_than_there_are_workers():
    assert observed().depth(8) == 8
    assert observed(*[0.5] * 1000).depth(8) == 8
    assert observed(*[0.5] * 1000).depth(0) == 0


def test_fast_handlers_get_some_work_ahead_until_one_is_slow():
    fast = observed(*[0.0001] * 1000)
    assert fast.depth(8) > 100
    fast.observe(2.0)
    fast.observe(2.0)
    assert fast.depth(8) == 8


def test_what_waited_in_vain_ends_working_ahead():
    fast = observed(*[0.0001] * 1000)
    fast.stalled()
    assert fast.depth(8) == 8


def test_room_of_a_hand_and_who_waits_for_it():
    hand = Hand()
    ended = []
    numbered = hand.take([Job(REQUEST, ended.append) for _ in range(3)])
    assert hand.room(3) == 0
    assert hand.room(5) == 2
    notified = []
    hand.when_room(notify := lambda: notified.append(len(hand)))
    hand.when_room(notify)
    outcome = Outcome(200, "", 0, 1)
    hand.resolve([(numbered[0][0], outcome), (numbered[1][0], None), (999, outcome)])
    assert ended == [outcome, None]
    assert notified == [1]
    hand.resolve([(numbered[0][0], outcome)])
    assert ended == [outcome, None]
    assert notified == [1]
