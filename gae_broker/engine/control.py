"""Pauses and resumes queues, for every process at once."""

from __future__ import annotations

from gae_broker.engine.catalog import Catalog
from gae_broker.ports import Controls


class Controller:
    """Steers queues.

    Args:
        catalog: which queues there are.
        controls: where their steering is kept.
    """

    def __init__(self, catalog: Catalog, controls: Controls) -> None:
        self._catalog = catalog
        self._controls = controls

    def pause(self, queue: str) -> None:
        """Stop dispatches and leases; adding goes on, requests under way end by themselves.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        self._controls.set_paused(self._catalog.get(queue).name, paused=True)

    def resume(self, queue: str) -> None:
        """Let dispatches and leases go on.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        self._controls.set_paused(self._catalog.get(queue).name, paused=False)

    def is_paused(self, queue: str) -> bool:
        """Whether the queue is paused by an operator; a rate of 0 in queue.yaml is another matter.

        Raises:
            UnknownQueueError: there is no such queue.
        """
        return self._controls.control(self._catalog.get(queue).name).paused
