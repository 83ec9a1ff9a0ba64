"""What the shop has in its warehouses."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from shop import journal

from gae_broker import taskqueue

LABELS = "labels"


@dataclass
class Warehouse:
    """One warehouse; its methods run as deferred calls, so it must pickle."""

    name: str

    def reserve(self, order_id: str, quantity: int = 1) -> None:
        """Put goods aside, and ask for a label to be printed at this warehouse."""
        name = f"label-{order_id}"
        label = taskqueue.Task(payload=f"{order_id} x{quantity}", method="PULL", tag=self.name, name=name)
        # Where the name is taken, an earlier run of this very task got this far.
        with contextlib.suppress(taskqueue.TaskAlreadyExistsError, taskqueue.TombstonedTaskError):
            taskqueue.Queue(LABELS).add(label)
        journal.record("reserve", order_id, "done", 0)
