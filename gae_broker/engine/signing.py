"""Signs the dispatcher's requests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from gae_broker.domain import signing
from gae_broker.domain.headers import SIGNATURE, HttpRequest
from gae_broker.domain.keyring import Keyring
from gae_broker.ports import Clock


class Signer:
    """Adds the header `SIGNATURE` to requests.

    Args:
        keys: the first one signs; there must be one.
        clock: the time that signatures bear.
        nonce: makes 32 hex digits that are never the same.
    """

    def __init__(self, keys: Keyring, clock: Clock, nonce: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._keys = keys
        self._clock = clock
        self._nonce = nonce

    def sign(self, request: HttpRequest, base_path: str = "") -> HttpRequest:
        """The request as it is to be sent, signed.

        Args:
            request: what is asked of the target.
            base_path: what the target puts before the request's own path.
        """
        headers = _unambiguous(request.headers)
        own = [(name.encode("latin-1", "replace"), value.encode()) for name, value in headers]
        types = [value.encode() for name, value in headers if name.lower() == "content-type"]
        path, query = signing.split_url(signing.wire_url(base_path + request.url))
        head = signing.head_of(
            request.method,
            path,
            query,
            own,
            content_type=types[-1] if types else b"",
            has_body=bool(request.body),
        )
        signature = signing.sign(self._keys, head, request.body, self._clock.now_us(), self._nonce())
        return replace(request, headers=(*headers, (SIGNATURE, str(signature))))


def _unambiguous(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Headers of which every server makes the same: one line for each that is signed, and no ``_`` in its name.

    Gateways of CGI's kind join repeated lines each in its own way, and take ``_`` for ``-`` or drop the line.
    """
    kept: list[tuple[str, str]] = []
    places: dict[str, int] = {}
    for name, value in headers:
        lower = name.lower()
        if not lower.replace("_", "-").startswith(signing.RESERVED):
            kept.append((name, value))
        elif lower in places:
            place = places[lower]
            kept[place] = (kept[place][0], f"{kept[place][1]}, {value}")
        elif "_" not in lower:
            places[lower] = len(kept)
            kept.append((name, value))
    return tuple(kept)
