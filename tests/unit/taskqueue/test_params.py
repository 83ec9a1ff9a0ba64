"""params to forms and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain import params
from gae_broker.taskqueue import Task


@pytest.mark.parametrize(
    ("given_params", "text"),
    [
        ({}, ""),
        ({"a": "b c"}, "a=b+c"),
        ({"é": "é"}, "%C3%A9=%C3%A9"),
        ({b"a": b"\xff"}, "a=%FF"),
        ({"a": None, "b": True, "c": 1.5}, "a=None&b=True&c=1.5"),
        ({"a": ["1", 2, b"3"]}, "a=1&a=2&a=3"),
        ({"a": [], "b": 1}, "b=1"),
        ({"a": {"x": 1, "y": 2}}, "a=x&a=y"),
        ({"a": (n for n in (1, 2))}, "a=1&a=2"),
        ({5: 6}, "5=6"),
        ({"a": "x&y=z"}, "a=x%26y%3Dz"),
    ],
)
def test_encode(given_params, text):
    assert params.encode(given_params) == text


@pytest.mark.parametrize("not_a_mapping", [[("a", 1)], "a=1", 5])
def test_only_mappings_are_taken(not_a_mapping):
    with pytest.raises(AttributeError):
        Task(params=not_a_mapping)


@pytest.mark.parametrize(
    ("arguments", "extracted"),
    [
        ({"params": {"a": "é", "b": [1, 2]}}, {"a": "é".encode(), "b": [b"1", b"2"]}),
        ({"payload": "a=1&b="}, {b"a": b"1", b"b": b""}),
        ({"payload": b"a=1&a=2"}, {b"a": [b"1", b"2"]}),
        ({"method": "PULL", "params": {"a": 1}}, {b"a": b"1"}),
        ({"method": "GET", "params": {"a": 1}, "url": "/x"}, {"a": b"1"}),
        ({"method": "PUT", "params": {"a": 1}, "payload": "b=2"}, {"a": b"1"}),
        ({}, {}),
        ({"payload": ""}, {}),
        ({"method": "GET", "url": "/x"}, {}),
    ],
    ids=str,
)
def test_extract_params(arguments, extracted):
    assert Task(**arguments).extract_params() == extracted


@pytest.mark.parametrize("payload", ["no form", b"a", "a=1&&b"])
def test_what_is_no_form_is_a_value_error(payload):
    with pytest.raises(ValueError, match="bad query field"):
        Task(payload).extract_params()


@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=2, max_size=4) | st.text()))
def test_text_survives_the_way_there_and_back(given_params):
    expected = {
        key: value.encode() if isinstance(value, str) else [element.encode() for element in value]
        for key, value in given_params.items()
    }
    assert params.extract(params.encode(given_params)) == expected
