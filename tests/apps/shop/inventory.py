"""What the shop has in its warehouses."""

from __future__ import annotations

from dataclasses import dataclass

from gae_broker import taskqueue
from shop import journal

LABELS = "labels"


@dataclass
class Warehouse:
    """One warehouse; its methods run as deferred calls, so it must pickle."""

    name: str

    def reserve(self, order_id: str, quantity: int = 1) -> None:
        """Put goods aside, and ask for a label to be printed at this warehouse."""
        label = taskqueue.Task(payload=f"{order_id} x{quantity}", method="PULL", tag=self.name, name=f"label-{order_id}")
        try:
            taskqueue.Queue(LABELS).add(label)
        except (taskqueue.TaskAlreadyExistsError, taskqueue.TombstonedTaskError):
            pass  # an earlier run of this very task got this far
        journal.record("reserve", order_id, "done", 0)
