"""Entry sizes against hand-encoded protocol buffers (wire format: tag, length, bytes)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import PULL, Content
from gae_broker.engine import entry

ETA_US = 1_700_000_000_000_000
COMMON = (2 + 1) + 2 + (1 + 8) + 3
"""queue ``q``, an empty task name, an eta of eight varint bytes, the mode."""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(Content("", PULL), COMMON + 2, id="empty pull task"),
        pytest.param(Content("", PULL, payload=b"x" * 127), COMMON + 2 + 127, id="one length byte"),
        pytest.param(Content("", PULL, payload=b"x" * 128), COMMON + 3 + 128, id="two length bytes"),
        pytest.param(Content("", PULL, payload=b"x" * 16_384), COMMON + 4 + 16_384, id="three length bytes"),
        pytest.param(Content("abc", PULL), COMMON + 3 + 2, id="named"),
        pytest.param(Content("", PULL, tag="\u20ac"), COMMON + 2 + 3 + 3, id="tag in UTF-8"),
        pytest.param(Content("", url="/a"), COMMON + 2 + 4, id="push: method and url"),
        pytest.param(Content("", url="/a", payload=b"b"), COMMON + 2 + 4 + 3, id="push with a body"),
        pytest.param(
            Content("", url="/a", headers=(("k", "vv"),)), COMMON + 2 + 4 + (2 + 3 + 4), id="a header's group"
        ),
        pytest.param(Content("", url="/a", deadline_us=20_000_000), COMMON + 2 + 4 + 2 + 4, id="deadline"),
        pytest.param(
            Content("", url="/a", retry=RetryParameters(limit=3, age_limit_s=200)),
            COMMON + 2 + 4 + 2 + 1 + (2 + 3 + 9 + 9 + 2),
            id="retry options",
        ),
    ],
)
def test_size(content, expected):
    assert entry.size("q", content, ETA_US) == expected


def test_a_negative_eta_takes_ten_bytes():
    assert entry.size("q", Content("", PULL), -1) == entry.size("q", Content("", PULL), 1) + 9


TEXT = st.text(max_size=40)


@given(
    st.builds(
        Content,
        name=TEXT,
        method=st.sampled_from(["POST", PULL]),
        url=st.one_of(TEXT, st.integers(24_000, 26_000).map(lambda length: "\u20ac" * length)),
        headers=st.lists(st.tuples(TEXT, TEXT), max_size=5).map(tuple),
        payload=st.one_of(st.integers(0, 300), st.integers(101_000, 103_000), st.integers(1_047_000, 1_049_000)).map(
            bytes
        ),
        tag=st.one_of(st.none(), TEXT),
        retry=st.sampled_from([None, RetryParameters(2**31, 2**62, 1.0, 2.0, 2**31)]),
        deadline_us=st.sampled_from([None, 2**62]),
    )
)
def test_what_passes_for_small_is_within_the_limit(content):
    if entry.is_small(content):
        assert entry.size("q" * 100, content, 2**62) <= entry.limit(content.kind)
