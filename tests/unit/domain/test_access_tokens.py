from __future__ import annotations

import pytest

from gae_broker.domain import access_tokens
from gae_broker.domain.access_tokens import AccessTokens

ANN, BEN = "a" * 20, "b" * 20


def test_whose_token_it_is():
    tokens = access_tokens.parse(f"ann@example.com:{ANN}, ben@example.com:{BEN}\nann@example.com:{ANN}2\n")
    assert [tokens.email_of(text.encode()) for text in (ANN, BEN, ANN + "2", ANN[:-1], "")] == [
        "ann@example.com",
        "ben@example.com",
        "ann@example.com",
        None,
        None,
    ]
    assert tokens.emails == ["ann@example.com", "ben@example.com"]
    assert tokens
    assert not AccessTokens()
    assert access_tokens.parse({"ann@example.com": ANN}).emails == ["ann@example.com"]
    assert access_tokens.parse(tokens) is tokens


def test_no_token_is_shown():
    tokens = access_tokens.parse(f"ann@example.com:{ANN}")
    assert ANN not in repr(tokens) + access_tokens.show(tokens)
    assert access_tokens.show(tokens) == "ann@example.com:***"


@pytest.mark.parametrize(
    "text",
    [
        ANN,
        f":{ANN}",
        f"ann:{ANN}",
        "ann@example.com:short",
        f"ann@example.com:{ANN} {ANN}",
        f"ann@example.com:{ANN}é",
        f"ann@example.com:{ANN},ben@example.com:{ANN}",
        7,
    ],
)
def test_what_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match=r"EMAIL:TOKEN|two lines") as raised:
        access_tokens.parse(text)
    assert ANN not in str(raised.value)
