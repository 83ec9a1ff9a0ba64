"""Keys as settings have them; no secret is ever in a text."""

from __future__ import annotations

import pytest

from gae_broker.domain import keyring
from gae_broker.domain.keyring import Key, Keyring

NEW, OLD = "new-secret-of-24-letters", "b2xkLXNlY3JldC1vZi0yNC1sZXR0ZXJz"


@pytest.mark.parametrize(
    "value",
    [f"n:{NEW},o:{OLD}", f" n : {NEW} ,\n o:{OLD},", f"n:{NEW}\no:{OLD}\n", {"n": NEW, "o": OLD}],
)
def test_keys_are_read_in_order_from_text_lines_and_tables(value):
    ring = keyring.parse(value)
    assert ring == Keyring((Key("n", NEW.encode()), Key("o", OLD.encode())))
    assert ring.signer.id == "n"
    assert ring.find("o") == Key("o", OLD.encode())
    assert ring.find("p") is None


def test_a_key_may_hold_colons():
    assert keyring.parse("k:aa:bb:cc:dd:ee:ff:gg").signer.secret == b"aa:bb:cc:dd:ee:ff:gg"


@pytest.mark.parametrize("value", ["", " , \n", {}])
def test_there_may_be_none(value):
    ring = keyring.parse(value)
    assert not ring
    with pytest.raises(LookupError):
        _ = ring.signer


@pytest.mark.parametrize(
    "value",
    [
        NEW,
        f"n:{NEW},{OLD}",
        "n:short",
        f":{NEW}",
        f"n o:{NEW}",
        f"ñ:{NEW}",
        f"{'n' * 33}:{NEW}",
        f"n:{NEW},n:{OLD}",
        {"n": 7},
        {7: NEW},
        7,
        [NEW],
    ],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(value):
    with pytest.raises(ValueError, match=r"ID:KEY|key") as caught:
        keyring.parse(value)
    assert NEW not in str(caught.value)
    assert OLD not in str(caught.value)


def test_secrets_are_in_no_repr():
    ring = keyring.parse(f"n:{NEW},o:{OLD}")
    assert keyring.show(ring) == "n:***,o:***"
    assert repr(ring) == "Keyring(keys=(Key('n', ***), Key('o', ***)))"


def test_a_mac_is_the_keys_and_the_messages():
    key, other = Key("k", b"x" * 16), Key("k", b"y" * 16)
    mac = key.mac(b"message")
    assert len(mac) == 32
    assert key.made(mac, b"message")
    assert not key.made(mac, b"massage")
    assert not other.made(mac, b"message")
    assert not key.made(mac[:-1], b"message")
    assert not key.made(b"", b"message")
