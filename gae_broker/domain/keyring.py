"""The keys that requests and deferred payloads are signed with: several, so that they can be replaced one by one."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from gae_broker.domain.named_secrets import pairs

SHORTEST_KEY = 16
"""Characters of a key; fewer could be guessed."""

KEY_ID = r"[A-Za-z0-9._-]{1,32}"
_ID = re.compile(KEY_ID)
_EXPECTED = f"ID:KEY,...: ids of letters, digits, '.', '_' and '-', keys of at least {SHORTEST_KEY} characters"


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A secret and the id that tells which one was used. The secret is in no repr."""

    id: str
    secret: bytes

    def mac(self, message: bytes) -> bytes:
        """The HMAC-SHA256 of a message, 32 bytes."""
        return hmac.digest(self.secret, message, hashlib.sha256)

    def made(self, mac: bytes, message: bytes) -> bool:
        """Whether this key made the MAC of this message; takes as long for a right answer as for a wrong one."""
        return hmac.compare_digest(self.mac(message), mac)

    def __repr__(self) -> str:
        return f"Key({self.id!r}, ***)"


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys in order: the first signs, all verify. An empty ring is false, and neither signs nor verifies."""

    keys: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    @property
    def signer(self) -> Key:
        """The key to sign with.

        Raises:
            LookupError: there is none.
        """
        if not self.keys:
            raise LookupError("there are no signing keys")
        return self.keys[0]

    def find(self, key_id: str) -> Key | None:
        """The key of this id, ``None`` where it is not (or not any more) in the ring."""
        return next((key for key in self.keys if key.id == key_id), None)


def parse(value: object) -> Keyring:
    """Keys as a setting has them: ``new:KEY,old:KEY``, one a line, or a table of ids and keys.

    A key is taken as the text it is, whether that is base64 or anything else.

    Raises:
        ValueError: what was expected; no part of a key is in it.
    """
    if isinstance(value, Keyring):
        return value
    keys = [_key(number, key_id, secret) for number, (key_id, secret) in enumerate(pairs(value, _EXPECTED), 1)]
    if len({key.id for key in keys}) < len(keys):
        raise ValueError("each key id once, but one is there twice")
    return Keyring(tuple(keys))


def show(value: object) -> str:
    """The ids, in order; no secret."""
    return ",".join(f"{key.id}:***" for key in value.keys) if isinstance(value, Keyring) else "***"


def _key(number: int, key_id: object, secret: object) -> Key:
    # No text of it in a message: where the id was forgotten, the secret stands in its place.
    if not isinstance(key_id, str) or not isinstance(secret, str) or not _ID.fullmatch(key_id) or not secret:
        raise ValueError(f"{_EXPECTED}; key {number} is not of this form")
    if len(secret) < SHORTEST_KEY:
        raise ValueError(f"keys of at least {SHORTEST_KEY} characters; key {number} has {len(secret)}")
    return Key(key_id, secret.encode("utf-8", "surrogateescape"))
