"""Signed pickles are whole or nothing, and pickles all the same."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain import keyring
from gae_broker.domain.keyring import Keyring
from gae_broker.domain.sealing import Broken, broken, seal

RING = keyring.parse("new:0123456789abcdef,old:fedcba9876543210")
OLD = keyring.parse("old:fedcba9876543210")
CALL = pickle.dumps((len, ("abc",), {}))
SEALED = seal(RING, CALL)


def test_the_form():
    fields = b"22:gae-broker deferred v1,3:new,%d:%b," % (len(CALL), CALL)
    assert CALL + b"\n#gae-broker v1 key=new s=" + RING.signer.mac(fields).hex().encode() == SEALED


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_whoever_does_not_verify_reads_the_pickle(protocol):
    value = ("abc", (1, 2.5, None), {"a": b"b"})
    assert pickle.loads(seal(RING, pickle.dumps(value, protocol))) == value
    assert pickle.loads(seal(RING, pickle.dumps(value, protocol)).decode("latin-1").encode("latin-1")) == value


def test_every_key_of_the_ring_verifies():
    assert broken(RING, SEALED) is None
    assert broken(RING, seal(OLD, CALL)) is None
    assert broken(OLD, SEALED) is Broken.UNKNOWN_KEY


def test_without_keys_nothing_is_added():
    assert seal(Keyring(), CALL) == CALL


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Broken.UNSIGNED),
        (CALL, Broken.UNSIGNED),
        (SEALED[:-1], Broken.UNSIGNED),
        (SEALED + b"\n", Broken.UNSIGNED),
        (SEALED.replace(b"v1", b"v2"), Broken.UNSIGNED),
        (SEALED.replace(b"key=new", b"key=old"), Broken.ALTERED),
        (SEALED.replace(b"key=new", b"key=third"), Broken.UNKNOWN_KEY),
        (b"x" + SEALED, Broken.ALTERED),
        (SEALED[len(CALL) :], Broken.ALTERED),
        (SEALED.replace(b"abc", b"abd"), Broken.ALTERED),
        (SEALED + SEALED[len(CALL) :], Broken.ALTERED),
        (SEALED[:-64] + SEALED[-64:].upper(), Broken.UNSIGNED),
    ],
)
def test_what_is_not_as_it_was_signed(data, expected):
    assert broken(RING, data) is expected


@given(st.binary(max_size=300), st.data())
def test_no_byte_can_change(payload, data):
    sealed = seal(RING, payload)
    assert broken(RING, sealed) is None
    place = data.draw(st.integers(0, len(sealed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != sealed[place]))
    assert broken(RING, sealed[:place] + bytes([byte]) + sealed[place + 1 :]) is not None
