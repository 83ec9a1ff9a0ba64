"""Where the pickle of a call is kept that is too large for a task."""

from __future__ import annotations

from gae_broker.engine import runtime


class _DeferredTaskEntity:
    """A stored pickle, in place of App Engine's Datastore entity of this name: kept in the ledger, by key.

    Args:
        data: the pickle.
        key: where it is stored already, ``None`` before `put`.
    """

    def __init__(self, data: bytes, key: str | None = None) -> None:
        self.data = data
        self._key = key

    @classmethod
    def get(cls, key: str) -> _DeferredTaskEntity | None:
        """The stored one, ``None`` where there is none (any more).

        Raises:
            LedgerUnavailableError: it is not known.
        """
        data = runtime.current().payloads.fetch(key)
        return None if data is None else cls(data, key)

    def put(self) -> str:
        """Store it; its key.

        Raises:
            LedgerUnavailableError: it is not stored.
        """
        self._key = runtime.current().payloads.store(self.data)
        return self._key

    def key(self) -> str | None:
        """Its key, ``None`` before `put`."""
        return self._key

    def delete(self) -> None:
        """Remove it; nothing happens where it is not stored."""
        if self._key is not None:
            runtime.current().payloads.forget(self._key)
