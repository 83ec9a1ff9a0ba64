"""Signed task requests: what is signed, how it is written down, and whether a signature holds. Time is passed in.

The signature travels in one header::

    X-GaeBroker-Signature: v1 key=2026a, t=1700000000000000, n=<32 hex>, l=3, b=<64 hex>, s=<64 hex>

``key`` names the key, ``t`` is when it was signed (microseconds since the epoch), ``n`` is a nonce, ``l`` and ``b`` are
the body's length and SHA-256, ``s`` is the HMAC-SHA256 over all of these and over method, path, query, content type
and every other header that only the dispatcher may send: the ``X-AppEngine-*`` ones, with queue, task name, retry and
execution count among them. As the body's hash stands in the header, a verifier knows whether the header is genuine
before it reads a single byte of the body.

The message that is signed is a row of netstrings (``length:bytes,``), so no two requests have the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from gae_broker.domain.headers import SIGNATURE
from gae_broker.domain.keyring import KEY_ID, Keyring

__all__ = ["SIGNATURE", "Head", "Refusal", "Signature", "head_of", "parse", "sign", "verify", "wire_url"]

RESERVED = ("x-appengine-", "x-gaebroker-")
"""Beginnings of the names of headers that only the dispatcher may send; ``_`` counts as ``-``."""

LEGAL = "/?:@!$&'()*+,;=-._~%[]|"
"""What a url keeps on the wire; everything else is percent-encoded."""

_LABEL = b"gae-broker request v1"
_FORM = re.compile(
    rf"v1 key=({KEY_ID}), t=([0-9]{{1,17}}), n=([0-9a-f]{{32}}), l=([0-9]{{1,12}}), "
    r"b=([0-9a-f]{64}), s=([0-9a-f]{64})",
    re.ASCII,
)
_BLANKS = b" \t"
_RESERVED = tuple(prefix.encode() for prefix in RESERVED)
_OWN = SIGNATURE.lower().encode()

Pairs = tuple[tuple[bytes, bytes], ...]


class Refusal(StrEnum):
    """Why a request is not taken for the dispatcher's; the text may be shown to whoever sent it."""

    UNSIGNED = "it is not signed"
    MALFORMED = "its signature cannot be read"
    UNKNOWN_KEY = "its signing key is not known here"
    ALTERED = "its signature does not fit it"
    BODY = "its body is not the one that was signed"
    EXPIRED = "it was signed too long ago, or by a clock that is wrong"
    REPLAYED = "it was received before"
    OVERRUN = "it is older than what is remembered of requests received before"


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed of a request beside its body; made by `head_of`, on both sides."""

    method: bytes
    path: bytes
    query: bytes
    content_type: bytes
    headers: Pairs


@dataclass(frozen=True, slots=True)
class Signature:
    """What the header says.

    Attributes:
        key_id: the key that made it.
        time_us: when it was made.
        nonce: 32 hex digits that make it unique.
        length: bytes of the body.
        body_hash: the body's SHA-256.
        mac: the HMAC; 32 bytes.
    """

    key_id: str
    time_us: int
    nonce: str
    length: int
    body_hash: bytes
    mac: bytes

    def __str__(self) -> str:
        return (
            f"v1 key={self.key_id}, t={self.time_us}, n={self.nonce}, l={self.length}, "
            f"b={self.body_hash.hex()}, s={self.mac.hex()}"
        )


def wire_url(url: str) -> str:
    """A task's url as it stands in a request line."""
    return quote(url, safe=LEGAL)


def head_of(
    method: str,
    path: bytes,
    query: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    content_type: bytes = b"",
    has_body: bool,
) -> Head:
    """What is signed of a request.

    Args:
        method: as it is sent.
        path: percent-decoded: what servers and gateways show applications of it.
        query: as it is sent; what cannot stand in a request line is percent-encoded.
        headers: all, or those that only the dispatcher may send (`RESERVED`), however written: these are signed.
        content_type: its value; without a body it says nothing and is not signed (some servers invent one).
        has_body: whether the body has any bytes.
    """
    named = [(normal(name), value.strip(_BLANKS)) for name, value in headers]
    return Head(
        method.upper().encode("utf-8", "surrogateescape"),
        path,
        quote(query, safe=LEGAL).encode(),
        content_type.strip(_BLANKS) if has_body else b"",
        tuple(sorted(item for item in named if item[0].startswith(_RESERVED) and item[0] != _OWN)),
    )


def normal(name: bytes) -> bytes:
    """A header's name as gateways of CGI's kind tell names apart: without case, ``_`` the same as ``-``."""
    return name.strip(_BLANKS).lower().replace(b"_", b"-")


def split_url(url: str) -> tuple[bytes, bytes]:
    """(decoded path, query) of a url as `wire_url` gives it."""
    path, _, query = url.partition("?")
    return unquote_to_bytes(path), query.encode()


def sign(keys: Keyring, head: Head, body: bytes, time_us: int, nonce: str) -> Signature:
    """Sign a request with the ring's first key.

    Args:
        keys: the ring, not empty.
        head: the request but for its body.
        body: all of its body.
        time_us: now.
        nonce: 32 hex digits, never used before.
    """
    key = keys.signer
    unsigned = Signature(key.id, time_us, nonce, len(body), sha256(body).digest(), b"")
    mac = key.mac(message(head, unsigned))
    return Signature(key.id, time_us, nonce, len(body), unsigned.body_hash, mac)


def parse(text: str) -> Signature | None:
    """What a header says; ``None`` where it is not exactly of the form above."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    key_id, time_us, nonce, length, body_hash, mac = match.groups()
    found = Signature(key_id, int(time_us), nonce, int(length), bytes.fromhex(body_hash), bytes.fromhex(mac))
    return found if str(found) == text else None  # one way of writing each: no zeros before a number


def verify(keys: Keyring, signature: Signature, head: Head, now_us: int, window_us: int) -> Refusal | None:
    """Why a signature does not hold for a request, ``None`` where it does; the body is compared elsewhere.

    Args:
        keys: all that are valid.
        signature: the request's.
        head: the request.
        now_us: the time.
        window_us: how far before or after it the signature may have been made.
    """
    key = keys.find(signature.key_id)
    if key is None:
        return Refusal.UNKNOWN_KEY
    if not key.made(signature.mac, message(head, signature)):
        return Refusal.ALTERED
    if abs(now_us - signature.time_us) > window_us:
        return Refusal.EXPIRED
    return None


def message(head: Head, signature: Signature) -> bytes:
    """The bytes that are signed; the signature's own MAC is not among them."""
    fields = [
        _LABEL,
        signature.key_id.encode(),
        b"%d" % signature.time_us,
        signature.nonce.encode(),
        head.method,
        head.path,
        head.query,
        head.content_type,
        b"%d" % signature.length,
        signature.body_hash,
        b"%d" % len(head.headers),
    ]
    for pair in head.headers:
        fields += pair
    return b"".join([b"%d:%b," % (len(field), field) for field in fields])
