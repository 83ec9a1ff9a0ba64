from __future__ import annotations

import pytest

from gae_broker.web.rest import partial
from gae_broker.web.rest.answers import RestError
from gae_broker.web.rest.meter import HOUR_US, MINUTE_US, LeaseMeter

VALUE = {"kind": "k", "items": [{"id": 1, "tag": {"x": 2, "y": 3}}, {"id": 4}], "stats": {"a": 5, "b": 6}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, VALUE),
        ("*", VALUE),
        ("kind", {"kind": "k"}),
        ("items/id", {"items": [{"id": 1}, {"id": 4}]}),
        ("items(id,tag/x),kind", {"kind": "k", "items": [{"id": 1, "tag": {"x": 2}}, {"id": 4}]}),
        (" stats ( a ) , nothing", {"stats": {"a": 5}}),
        ("*/b", {"kind": "k", "items": [{}, {}], "stats": {"b": 6}}),
    ],
)
def test_what_is_wanted(text, expected):
    assert partial.parse(text).of(VALUE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a,",
        "a(",
        "a)",
        "a(b",
        "a()",
        "/a",
        "a//b",
        "a b",
        "a-b",
        "a(b))",
        "(" * 900,
        "a(" * 900,
        "a," * 600,
        "a," * 4000 + "b",
    ],
)
def test_what_cannot_be_read(text):
    with pytest.raises(RestError, match="cannot be read"):
        partial.parse(text)


def test_the_meter_counts_within_a_time():
    meter = LeaseMeter()
    for second, tasks in ((0, 1), (1, 2), (100, 4), (3599, 8)):
        meter.add("q", tasks, second * 1_000_000)
    now_us = 3_600_000_000
    assert meter.leased("q", MINUTE_US, now_us) == 8
    assert meter.leased("q", HOUR_US, now_us) in {12, 15}
    assert meter.leased("q", HOUR_US, now_us + 10_000_000) == 12
    assert meter.leased("other", HOUR_US, now_us) == 0
