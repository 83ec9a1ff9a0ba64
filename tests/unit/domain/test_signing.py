"""What is signed of a request, byte for byte, and what a signature does not survive."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain import keyring
from gae_broker.domain.signing import (
    Head,
    Refusal,
    Signature,
    head_of,
    message,
    parse,
    sign,
    split_url,
    verify,
    wire_url,
)

RING = keyring.parse("new:0123456789abcdef0123456789abcdef,old:fedcba9876543210fedcba9876543210")
HEADERS = (
    (b"Host", b"shop.example.com"),
    (b"X-AppEngine-TaskName", b"t1"),
    (b"X-AppEngine-QueueName", b"mail"),
    (b"X-AppEngine-TaskRetryCount", b"2"),
    (b"X-AppEngine-TaskExecutionCount", b"1"),
)
HEAD = head_of("post", b"/work", b"a=1", HEADERS, content_type=b"text/plain", has_body=True)
NOW, WINDOW = 1_700_000_000_000_000, 300_000_000
NONCE = "0123456789abcdef" * 2
SIGNED = sign(RING, HEAD, b"abc", NOW, NONCE)


def test_the_canonical_form_is_netstrings_in_a_fixed_order():
    assert message(HEAD, SIGNED) == (
        b"21:gae-broker request v1,3:new,16:1700000000000000,32:0123456789abcdef0123456789abcdef,"
        b"4:POST,5:/work,3:a=1,10:text/plain,1:3,32:" + sha256(b"abc").digest() + b",1:4,"
        b"21:x-appengine-queuename,4:mail,30:x-appengine-taskexecutioncount,1:1,"
        b"20:x-appengine-taskname,2:t1,26:x-appengine-taskretrycount,1:2,"
    )


def test_the_header_is_this_text_and_is_read_back():
    text = str(SIGNED)
    body, mac = sha256(b"abc").hexdigest(), RING.signer.mac(message(HEAD, SIGNED)).hex()
    assert text == f"v1 key=new, t=1700000000000000, n={NONCE}, l=3, b={body}, s={mac}"
    assert parse(text) == SIGNED


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "content_type", "expected"),
    [
        ("get", b"/", b"", (), b"", Head(b"GET", b"/", b"", b"", ())),
        ("GET", b"/a b", b"x y=\xc3\xa9&z=%20", (), b"", Head(b"GET", b"/a b", b"x%20y=%C3%A9&z=%20", b"", ())),
        ("GET", b"/\xff", b"%zz", (), b"", Head(b"GET", b"/\xff", b"%zz", b"", ())),
        (
            "PUT",
            b"/",
            b"",
            ((b"x_appengine_A", b" v\t"),),
            b"",
            Head(b"PUT", b"/", b"", b"", ((b"x-appengine-a", b"v"),)),
        ),
        (
            "PUT",
            b"/",
            b"",
            ((b"X-AppEngine-B", b"2"), (b"X-APPENGINE-B", b"1"), (b"X-AppEngineA", b"0")),
            b"",
            Head(b"PUT", b"/", b"", b"", ((b"x-appengine-b", b"1"), (b"x-appengine-b", b"2"))),
        ),
    ],
)
def test_heads(method, path, query, headers, content_type, expected):
    assert head_of(method, path, query, headers, content_type=content_type, has_body=True) == expected


def test_without_a_body_its_type_is_not_signed():
    assert head_of("GET", b"/", b"", (), content_type=b"text/plain", has_body=False).content_type == b""
    assert head_of("GET", b"/", b"", (), content_type=b" text/plain", has_body=True).content_type == b"text/plain"


@pytest.mark.parametrize(
    ("url", "wire", "path", "query"),
    [
        ("/work?x=1", "/work?x=1", b"/work", b"x=1"),
        ("/caf\u00e9?q=\u00fc", "/caf%C3%A9?q=%C3%BC", "/caf\u00e9".encode(), b"q=%C3%BC"),
        ("/caf%C3%A9", "/caf%C3%A9", "/caf\u00e9".encode(), b""),
        ("/a b?c d", "/a%20b?c%20d", b"/a b", b"c%20d"),
        ("/a#b", "/a%23b", b"/a#b", b""),
        ("/a?b?c", "/a?b?c", b"/a", b"b?c"),
        ("/%zz", "/%zz", b"/%zz", b""),
    ],
)
def test_urls_on_the_wire(url, wire, path, query):
    assert wire_url(url) == wire
    assert split_url(wire) == (path, query)


def test_a_signature_holds_for_its_request_within_its_window():
    assert verify(RING, SIGNED, HEAD, NOW, WINDOW) is None
    assert verify(RING, SIGNED, HEAD, NOW + WINDOW, WINDOW) is None
    assert verify(RING, SIGNED, HEAD, NOW - WINDOW, WINDOW) is None
    assert verify(RING, SIGNED, HEAD, NOW + WINDOW + 1, WINDOW) is Refusal.EXPIRED
    assert verify(RING, SIGNED, HEAD, NOW - WINDOW - 1, WINDOW) is Refusal.EXPIRED


def test_the_older_key_still_verifies_and_another_of_its_name_does_not():
    old = keyring.parse("old:fedcba9876543210fedcba9876543210")
    signed = sign(old, HEAD, b"abc", NOW, NONCE)
    assert verify(RING, signed, HEAD, NOW, WINDOW) is None
    assert verify(keyring.parse("old:another-secret-of-it"), signed, HEAD, NOW, WINDOW) is Refusal.ALTERED
    assert verify(old, SIGNED, HEAD, NOW, WINDOW) is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize(
    "change",
    [
        {"method": b"PUT"},
        {"path": b"/works"},
        {"path": b"/work/"},
        {"query": b"a=2"},
        {"query": b""},
        {"content_type": b"text/html"},
        {"headers": HEAD.headers[1:]},
        {"headers": (*HEAD.headers, (b"x-appengine-fake", b"1"))},
        {"headers": ((b"x-appengine-queuename", b"other"), *HEAD.headers[1:])},
        {"headers": tuple((name, value + b"0") if b"retry" in name else (name, value) for name, value in HEAD.headers)},
        {"path": b"/work,3:a=1", "query": b""},
    ],
)
def test_no_part_of_a_request_can_change(change):
    assert verify(RING, SIGNED, replace(HEAD, **change), NOW, WINDOW) is Refusal.ALTERED


@pytest.mark.parametrize(
    "change",
    [
        {"time_us": NOW + 1},
        {"nonce": "f" * 32},
        {"length": 4},
        {"body_hash": bytes(32)},
        {"mac": bytes(32)},
        {"key_id": "old"},
    ],
)
def test_no_part_of_a_signature_can_change(change):
    assert verify(RING, replace(SIGNED, **change), HEAD, NOW, WINDOW) is Refusal.ALTERED


TEXT = str(SIGNED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1",
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n",
        " " + TEXT,
        TEXT.replace("v1", "v2"),
        TEXT.upper(),
        TEXT.replace(", ", ","),
        TEXT.replace(", ", ",  "),
        f"{TEXT},{TEXT}",
        f"{TEXT}, {TEXT}",
        TEXT.replace("t=", "t=0"),
        TEXT.replace("l=3", "l=03"),
        TEXT.replace("l=3", "l=-3"),
        TEXT.replace("l=3", "l=\u0663"),
        TEXT.replace("key=new", "key="),
        TEXT.replace("key=new", "key=" + "n" * 33),
        TEXT.replace("key=new", "key=\u00f1"),
        TEXT.replace("s=", "s=g"),
        "x" * 100_000,
    ],
)
def test_a_header_has_one_form_only(text):
    assert parse(text) is None


PART = st.binary(max_size=4)
PAIR = st.tuples(st.sampled_from([b"x-appengine-a", b"x-appengine-a1:", b"x-appengine-b"]), PART)
HEADS = st.builds(Head, PART, PART, PART, PART, st.lists(PAIR, max_size=3).map(lambda pairs: tuple(sorted(pairs))))
SIGNATURES = st.builds(
    Signature,
    st.sampled_from(["a", "a1", "1"]),
    st.integers(0, 20),
    st.sampled_from(["0", "00"]),
    st.integers(0, 20),
    PART,
    st.just(b""),
)


@given(HEADS, SIGNATURES, HEADS, SIGNATURES)
def test_two_requests_never_have_the_same_message(head, signature, other_head, other_signature):
    same = (head, signature) == (other_head, other_signature)
    assert (message(head, signature) == message(other_head, other_signature)) is same
