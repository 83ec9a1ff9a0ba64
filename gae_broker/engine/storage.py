"""Keeps queue.yaml's ``total_storage_limit``: adds beyond it fail."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol, runtime_checkable

from gae_broker.engine.catalog import Catalog
from gae_broker.errors import PublishRejectedError

_log = logging.getLogger(__name__)
_FRESH_S = 1.0
_REST = 20
"""Measuring may take a twentieth of the time, however much is stored."""


@runtime_checkable
class Measurable(Protocol):
    """A broker or ledger that knows how much it stores."""

    def stored_bytes(self) -> int | None:
        """Bytes of all stored tasks, over all queues; ``None`` where it cannot be known now."""


class StorageGuard:
    """Refuses adds beyond the limit.

    What is stored is measured about once a second, and before a refusal; what this process adds meanwhile is
    counted on top. So several processes together may exceed the limit by what they add within a second.

    Args:
        catalog: knows the limit.
        broker: the limit is not kept, and a warning logged, where it cannot be measured.
        ledger: what it holds itself counts too.
    """

    def __init__(self, catalog: Catalog, broker: object, ledger: object) -> None:
        self._catalog = catalog
        self._broker = broker
        self._ledger = ledger
        self._lock = threading.Lock()
        self._fresh_until_s = 0.0
        self._bytes: int | None = None
        self._warned = False

    def require(self, tasks_bytes: int) -> None:
        """Let an add of so many payload bytes pass, or refuse it.

        Raises:
            PublishRejectedError: it would exceed the limit; nothing was stored.
            TransientError: what is stored could not be measured.
        """
        limit = self._catalog.file.total_storage_limit
        if limit is None:
            return
        with self._lock:
            is_fresh = time.monotonic() < self._fresh_until_s
            stored = self._bytes if is_fresh else self._measure()
            if is_fresh and stored is not None and stored + tasks_bytes > limit:
                stored = self._measure()  # tasks may have gone since
            if stored is None:
                return
            if stored + tasks_bytes > limit:
                raise PublishRejectedError(
                    f"total_storage_limit is {limit} bytes, {stored} are stored and {tasks_bytes} were to be added; "
                    "process or delete tasks, or raise the limit in queue.yaml",
                )
            self._bytes = stored + tasks_bytes

    def _measure(self) -> int | None:
        began_s = time.monotonic()
        self._bytes = self._broker.stored_bytes() if isinstance(self._broker, Measurable) else None
        if self._bytes is not None and isinstance(self._ledger, Measurable):
            self._bytes += self._ledger.stored_bytes() or 0
        if self._bytes is None and not self._warned:
            self._warned = True
            _log.warning("total_storage_limit is set in queue.yaml, but this broker cannot tell how much it stores")
        now_s = time.monotonic()
        self._fresh_until_s = now_s + max(_FRESH_S, _REST * (now_s - began_s))
        return self._bytes
