"""Every rule of gae-semantics 2.1: the exception, what its text names, and which of two faults is reported."""

from __future__ import annotations

import datetime as dt
from itertools import combinations
from typing import NamedTuple

import pytest

from gae_broker import taskqueue as tq
from gae_broker.taskqueue import Task


class Fault(NamedTuple):
    arguments: dict
    error: type[Exception]
    text: str


PULL = {"method": "PULL", "payload": b"x"}
FAR = dt.datetime.now(dt.UTC) + dt.timedelta(days=31)

FAULTS = [
    Fault({"colour": 1}, TypeError, "Invalid arguments: colour"),
    Fault({"colour": 1, "queue": 2}, TypeError, "Invalid arguments: colour, queue"),
    # name
    Fault({"name": "a b"}, tq.InvalidTaskNameError, "'a b'"),
    Fault({"name": "é"}, tq.InvalidTaskNameError, "'é'"),
    Fault({"name": "x" * 501}, tq.InvalidTaskNameError, "at most 500"),
    Fault({"name": "abc\n"}, tq.InvalidTaskNameError, r"'abc\\n'"),
    Fault({"name": b"\xff"}, tq.InvalidTaskNameError, "xff"),
    Fault({"name": 5}, TypeError, "5"),
    # url
    Fault({"url": "http://host/x"}, tq.InvalidUrlError, "scheme or a host"),
    Fault({"url": "//host/x"}, tq.InvalidUrlError, "scheme or a host"),
    Fault({"url": "mailto:x"}, tq.InvalidUrlError, "scheme or a host"),
    Fault({"url": "/x#part"}, tq.InvalidUrlError, "fragment"),
    Fault({"url": "?a=1"}, tq.InvalidUrlError, "must start with '/'"),
    Fault({"url": "x"}, tq.InvalidUrlError, "must start with '/'"),
    Fault({"url": "//[x"}, tq.InvalidUrlError, "cannot be read"),
    Fault({"url": b"/x"}, tq.InvalidUrlError, "not text"),
    Fault({"url": "/\ud800"}, tq.InvalidUrlError, "UTF-8"),
    Fault({"url": "/" + "x" * 2083}, tq.InvalidUrlError, "2084 characters, at most 2083"),
    # headers and method, as they come
    Fault({"headers": {5: "x"}}, tq.InvalidTaskError, "header name 5"),
    Fault({"method": None}, AttributeError, "upper"),
    # query and params
    Fault({"url": "/x?a=1", "params": {"b": 2}}, tq.InvalidTaskError, "'a=1' and params"),
    Fault({"url": "/x?a=1", "params": {"b": 2}, "method": "GET"}, tq.InvalidTaskError, "'a=1' and params"),
    # tag
    Fault({"tag": "t"}, tq.InvalidTaskError, "tag 't'"),
    Fault({"tag": ""}, tq.InvalidTaskError, "only pull tasks have tags"),
    Fault({"tag": "t", "method": "GET"}, tq.InvalidTaskError, "GET"),
    # PULL
    Fault(PULL | {"url": "/x"}, tq.InvalidTaskError, "url is given for a pull task"),
    Fault(PULL | {"headers": {"a": "b"}}, tq.InvalidTaskError, "headers is given"),
    Fault(PULL | {"target": "v1"}, tq.InvalidTaskError, "target is given"),
    Fault(PULL | {"params": {"a": 1}}, tq.InvalidTaskError, "payload and params"),
    Fault({"method": "PULL"}, tq.InvalidTaskError, "needs a payload"),
    Fault({"method": "PULL", "params": {}}, tq.InvalidTaskError, "needs a payload"),
    Fault({"method": "PULL", "payload": 5}, tq.InvalidTaskError, "not 5"),
    # POST
    Fault({"payload": "x", "params": {"a": 1}}, tq.InvalidTaskError, "payload and params"),
    Fault({"url": "/x?a=1"}, tq.InvalidTaskError, "'a=1'.*params="),
    *(
        Fault({"payload": payload}, tq.InvalidTaskError, "must be text or bytes")
        for payload in (5, [1], {"a": 1}, bytearray(b"x"), object())
    ),
    Fault({"payload": "\ud800"}, tq.InvalidTaskError, "UTF-8; send bytes"),
    Fault({"params": {"a": "\ud800"}}, tq.InvalidTaskError, "UTF-8"),
    # GET, HEAD, DELETE, and no method at all
    *(
        Fault({"payload": "x", "method": method}, tq.InvalidTaskError, f"{method} task")
        for method in ("GET", "HEAD", "DELETE")
    ),
    Fault({"method": "PATCH"}, tq.InvalidTaskError, "Invalid method: PATCH"),
    # target and Host
    Fault({"target": "v1", "headers": {"hOsT": "h"}}, tq.InvalidTaskError, "'v1' and a Host header 'h'"),
    # headers that no request can carry
    Fault({"headers": {"a b": "x"}}, tq.InvalidTaskError, "'a b'"),
    Fault({"headers": {"": "x"}}, tq.InvalidTaskError, "no HTTP header name"),
    Fault({"headers": {"A": "x\r\nHost: evil"}}, tq.InvalidTaskError, "line break"),
    Fault({"headers": {"A": ["x", "y\n"]}}, tq.InvalidTaskError, "header A"),
    Fault({"headers": {"A": "\ud800"}}, tq.InvalidTaskError, "UTF-8"),
    # eta and countdown
    Fault({"eta": FAR, "countdown": 1}, tq.InvalidTaskError, "countdown 1 are both"),
    Fault({"eta": dt.date(2026, 1, 1)}, tq.InvalidTaskError, r"datetime.date\(2026, 1, 1\)"),
    Fault({"eta": dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))}, tq.InvalidEtaError, "0001"),
    Fault({"eta": dt.datetime.max}, tq.InvalidEtaError, "9999|30"),  # noqa: DTZ901
    Fault({"eta": 1_700_000_000}, tq.InvalidTaskError, "1700000000"),
    Fault({"countdown": "soon"}, tq.InvalidTaskError, "Countdown must be a number, not 'soon'"),
    Fault({"countdown": 10**400}, tq.InvalidTaskError, "Countdown out of range"),
    Fault({"countdown": [1]}, TypeError, "list"),
    Fault({"eta": FAR}, tq.InvalidEtaError, "at most 30"),
    Fault({"countdown": 2_592_001}, tq.InvalidEtaError, "at most 30"),
    Fault({"countdown": float("inf")}, tq.InvalidEtaError, "at most 30"),
    # size
    Fault({"payload": b"x" * 102_400}, tq.TaskTooLargeError, "at most 102400"),
    Fault({"method": "PULL", "payload": b"x" * 1_048_576}, tq.TaskTooLargeError, "at most 1048576"),
    # tag
    Fault(PULL | {"tag": "t" * 501}, tq.InvalidTagError, "501 characters, at most 500"),
    Fault(PULL | {"tag": 5}, tq.InvalidTagError, "tag 5 is not text"),
    Fault(PULL | {"tag": b"\xff"}, tq.InvalidTagError, "not text"),
    Fault(PULL | {"tag": "\ud800"}, tq.InvalidTagError, "not text"),
    # dispatch deadline
    Fault({"dispatch_deadline_usec": "x"}, TypeError, "'x'"),
    Fault({"dispatch_deadline_usec": 15.0e6}, TypeError, "integer"),
    Fault({"dispatch_deadline_usec": 14_999_999}, tq.InvalidDispatchDeadlineError, "14999999 us is less than 0:00:15"),
    Fault({"dispatch_deadline_usec": 0}, tq.InvalidDispatchDeadlineError, "less than"),
    Fault({"dispatch_deadline_usec": 86_400_000_001}, tq.InvalidDispatchDeadlineError, "more than 1 day"),
]


def name_of(fault: Fault) -> str:
    return str({key: value if len(repr(value)) < 30 else "..." for key, value in fault.arguments.items()})


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_a_fault_gets_its_own_error_which_names_it(fault: Fault):
    with pytest.raises(fault.error, match=fault.text) as raised:
        Task(**fault.arguments)
    assert raised.type is fault.error


ORDER = [
    Fault({"colour": 1}, TypeError, "Invalid arguments"),
    Fault({"name": "a b"}, tq.InvalidTaskNameError, "a b"),
    Fault({"url": "/x#f"}, tq.InvalidUrlError, "fragment"),
    Fault({"headers": {5: 1}}, tq.InvalidTaskError, "header name"),
    Fault({"url": "/x?a=1", "params": {"b": 2}}, tq.InvalidTaskError, "and params are both given; give one"),
    Fault({"tag": "t"}, tq.InvalidTaskError, "tag 't'"),
    Fault({"payload": 5}, tq.InvalidTaskError, "must be text or bytes"),
    Fault({"target": "v1", "headers": {"Host": "h"}}, tq.InvalidTaskError, "Host header"),
    Fault({"headers": {"a b": "x"}}, tq.InvalidTaskError, "no HTTP header name"),
    Fault({"eta": FAR, "countdown": 1}, tq.InvalidTaskError, "both given"),
    Fault({"eta": 5}, tq.InvalidTaskError, "datetime"),
    Fault({"countdown": 3_000_000}, tq.InvalidEtaError, "30"),
    Fault({"payload": b"x" * 200_000}, tq.TaskTooLargeError, "102400"),
    Fault({"dispatch_deadline_usec": 1}, tq.InvalidDispatchDeadlineError, "less than"),
]
"""In the order in which App Engine looks; each of a kind that can stand beside the others."""

PAIRS = [
    (a, b)
    for a, b in combinations(ORDER, 2)
    if not a.arguments.keys() & b.arguments.keys()
    and not {"eta", "countdown"} <= a.arguments.keys() | b.arguments.keys()  # a fault in itself
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda fault: " ".join(fault.arguments))
def test_of_two_faults_the_earlier_rule_is_reported(first: Fault, second: Fault):
    with pytest.raises(first.error, match=first.text) as raised:
        Task(**first.arguments, **second.arguments)
    assert raised.type is first.error


def test_the_long_tag_is_found_before_the_deadline_and_after_the_size():
    with pytest.raises(tq.InvalidTagError):
        Task(b"x", method="PULL", tag="t" * 501, dispatch_deadline_usec=1)
    with pytest.raises(tq.TaskTooLargeError):
        Task(b"x" * 1_048_576, method="PULL", tag="t" * 501)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": ""},
        {"name": None},
        {"name": "a_B-9"},
        {"name": "x" * 500},
        {"url": None},
        {"url": "/" + "x" * 2082},
        {"url": "/" + "x" * 2000 + "?" + "y" * 3000, "method": "GET"},
        {"url": "/a?"},
        {"headers": None},
        {"headers": {}},
        {"headers": [("a", "b")]},
        {"params": None},
        {"params": {}, "payload": "x"},
        {"method": "put", "params": {"a": 1}, "payload": "x"},
        {"method": "PULL", "payload": ""},
        {"method": "PULL", "payload": b""},
        {"method": "PULL", "params": {"a": 1}},
        PULL | {"headers": {}, "target": "", "url": ""},
        PULL | {"tag": ""},
        PULL | {"tag": "t" * 500},
        PULL | {"tag": "é" * 500},
        PULL | {"tag": "t" * 501, "_size_check": False},
        {"payload": b"x" * 200_000, "_size_check": False},
        {"countdown": 2_591_999},
        {"countdown": -10_000},
        {"countdown": "5.5"},
        {"countdown": float("nan")},
        {"eta": dt.datetime(1999, 1, 1, tzinfo=dt.UTC)},
        {"dispatch_deadline_usec": 15_000_000},
        {"dispatch_deadline_usec": 86_400_000_000},
        {"retry_options": "not looked at"},
        {"payload": 0},
    ],
    ids=str,
)
def test_what_is_allowed(arguments):
    Task(**arguments)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(tq.InvalidTaskNameError) as raised:
        Task(name="x" * 10_000)
    assert len(str(raised.value)) < 300
