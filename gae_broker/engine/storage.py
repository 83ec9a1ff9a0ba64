"""Keeps queue.yaml's ``total_storage_limit``: adds beyond it fail."""

from __future__ import annotations

import logging
import threading
from typing import Protocol, runtime_checkable

from gae_broker.engine.catalog import Catalog
from gae_broker.errors import PublishRejectedError
from gae_broker.ports import Clock

_log = logging.getLogger(__name__)
_FRESH_US = 1_000_000


@runtime_checkable
class Measurable(Protocol):
    """A broker or ledger that knows how much it stores."""

    def stored_bytes(self) -> int | None:
        """Bytes of all stored tasks, over all queues; ``None`` where it cannot be known now."""


class StorageGuard:
    """Refuses adds beyond the limit.

    What is stored is measured at most once a second, and what this process adds meanwhile is counted on top; so
    several processes together may exceed the limit by what they add within a second.

    Args:
        catalog: knows the limit.
        stores: the broker and the ledger; the limit is not kept, and a warning logged, where none can be measured.
        clock: the time.
    """

    def __init__(self, catalog: Catalog, stores: tuple[object, ...], clock: Clock) -> None:
        self._catalog = catalog
        self._stores = stores
        self._clock = clock
        self._lock = threading.Lock()
        self._measured_us: int | None = None
        self._bytes: int | None = None
        self._warned = False

    def require(self, tasks_bytes: int) -> None:
        """Let an add of so many payload bytes pass, or refuse it.

        Raises:
            PublishRejectedError: it would exceed the limit; nothing was stored.
        """
        limit = self._catalog.file.total_storage_limit
        if limit is None:
            return
        with self._lock:
            stored = self._measure()
            if stored is None:
                return
            if stored + tasks_bytes > limit:
                raise PublishRejectedError(
                    f"total_storage_limit is {limit} bytes, {stored} are stored and {tasks_bytes} were to be added; "
                    "process or delete tasks, or raise the limit in queue.yaml",
                )
            self._bytes = stored + tasks_bytes

    def _measure(self) -> int | None:
        now_us = self._clock.now_us()
        if self._measured_us is not None and 0 <= now_us - self._measured_us < _FRESH_US:
            return self._bytes
        self._measured_us = now_us
        figures = [store.stored_bytes() for store in self._stores if isinstance(store, Measurable)]
        known = [figure for figure in figures if figure is not None]
        self._bytes = sum(known) if known else None
        if not known and not self._warned:
            self._warned = True
            _log.warning("total_storage_limit is set in queue.yaml, but this broker cannot tell how much it stores")
        return self._bytes
