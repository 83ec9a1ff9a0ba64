"""Bearer tokens and whom each stands for; only their hashes are kept, so nothing here can show one."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from gae_broker.domain.named_secrets import pairs

SHORTEST_TOKEN = 16
"""Characters of a token; fewer could be guessed."""

_EMAIL = re.compile(r"[^\s:,@]+@[^\s:,@]+")
_TOKEN = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_EXPECTED = f"EMAIL:TOKEN,...: tokens of at least {SHORTEST_TOKEN} visible ASCII characters, without commas"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token's SHA-256, and the address that whoever shows the token has."""

    email: str
    digest: bytes

    def __repr__(self) -> str:
        return f"AccessToken({self.email!r}, ***)"


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Who may come; empty is false. An address may have several tokens, so that one can take another's place."""

    tokens: tuple[AccessToken, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tokens)

    @property
    def emails(self) -> list[str]:
        """The addresses, each once, in order."""
        return list(dict.fromkeys(token.email for token in self.tokens))

    def email_of(self, shown: bytes) -> str | None:
        """Whose token this is, ``None``: nobody's; takes as long for one as for the other."""
        digest = hashlib.sha256(shown).digest()
        found = None
        for token in self.tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token.email
        return found


def parse(value: object) -> AccessTokens:
    """Tokens as a setting has them: ``ann@example.com:TOKEN,...``, one a line, or a table of tokens by address.

    Raises:
        ValueError: what was expected; no part of a token is in it.
    """
    if isinstance(value, AccessTokens):
        return value
    tokens = [_token(number, email, token) for number, (email, token) in enumerate(pairs(value, _EXPECTED), 1)]
    if len({token.digest for token in tokens}) < len(tokens):
        raise ValueError("each token once, but two lines have the same one")
    return AccessTokens(tuple(tokens))


def show(value: object) -> str:
    """The addresses, in order; no token."""
    return ",".join(f"{token.email}:***" for token in value.tokens) if isinstance(value, AccessTokens) else "***"


def _token(number: int, email: object, token: object) -> AccessToken:
    # No text of it in a message: where the address was forgotten, the token stands in its place.
    if not isinstance(email, str) or not isinstance(token, str) or not _EMAIL.fullmatch(email):
        raise ValueError(f"{_EXPECTED}; number {number} has no address before a ':'")
    if len(token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(token):
        raise ValueError(f"{_EXPECTED}; the token of number {number} is not of this form")
    return AccessToken(email, hashlib.sha256(token.encode()).digest())
