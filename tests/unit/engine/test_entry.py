"""Entry sizes against hand-encoded protocol buffers (wire format: tag, length, bytes)."""

from __future__ import annotations

import pytest

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
