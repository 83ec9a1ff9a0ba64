r"""Signed pickles: the signature stands behind the pickle's end, where every reader of pickles stops reading.

So whoever loads them with ``pickle.loads`` (an old test suite, App Engine's own ``deferred``) still can; only those who
verify look at the last line::

    <pickle>\n#gae-broker v1 key=2026a s=<64 hex>
"""

from __future__ import annotations

import re
from enum import StrEnum

from gae_broker.domain.keyring import KEY_ID, Keyring

_LABEL = b"gae-broker deferred v1"
_FORM = re.compile(rb"\n#gae-broker v1 key=(" + KEY_ID.encode() + rb") s=([0-9a-f]{64})\Z")
_LONGEST = 140


class Broken(StrEnum):
    """Why a payload is not to be loaded."""

    UNSIGNED = "it is not signed"
    UNKNOWN_KEY = "its signing key is not known here"
    ALTERED = "its signature does not fit it"


def seal(keys: Keyring, pickled: bytes) -> bytes:
    """A pickle with its signature, by the ring's first key; as it is where the ring is empty."""
    if not keys:
        return pickled
    key = keys.signer
    return b"%b\n#gae-broker v1 key=%b s=%b" % (
        pickled,
        key.id.encode(),
        key.mac(_message(key.id, pickled)).hex().encode(),
    )


def broken(keys: Keyring, data: bytes) -> Broken | None:
    """Why a payload does not hold, ``None`` where it was signed by a key of the ring."""
    match = _FORM.search(data, max(len(data) - _LONGEST, 0))
    if match is None:
        return Broken.UNSIGNED
    key_id = match[1].decode()
    key = keys.find(key_id)
    if key is None:
        return Broken.UNKNOWN_KEY
    is_whole = key.made(bytes.fromhex(match[2].decode()), _message(key_id, data[: match.start()]))
    return None if is_whole else Broken.ALTERED


def _message(key_id: str, pickled: bytes) -> bytes:
    fields = (_LABEL, key_id.encode(), pickled)
    return b"".join([b"%d:%b," % (len(field), field) for field in fields])
