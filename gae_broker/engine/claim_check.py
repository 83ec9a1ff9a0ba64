"""Payloads too large for a task: kept in the ledger under a key, fetched and forgotten by whoever runs the task."""

from __future__ import annotations

from gae_broker.engine.names import Namer
from gae_broker.ports import Clock, Payloads


class ClaimCheck:
    """Stores payloads by an unguessable key.

    Args:
        payloads: where they are kept.
        clock: the time that is recorded with them.
        namer: where keys come from.
    """

    def __init__(self, payloads: Payloads, clock: Clock, namer: Namer) -> None:
        self._payloads = payloads
        self._clock = clock
        self._namer = namer

    def store(self, body: bytes) -> str:
        """Keep a payload durably; the key to fetch it by.

        Raises:
            LedgerUnavailableError: it is not stored.
        """
        key = self._namer.copy_id()
        self._payloads.put_payload(key, body, self._clock.now_us())
        return key

    def fetch(self, key: str) -> bytes | None:
        """The payload, ``None`` where it was forgotten, or never stored."""
        return self._payloads.get_payload(key)

    def forget(self, key: str) -> None:
        """Remove the payload; nothing happens where there is none."""
        self._payloads.delete_payload(key)
