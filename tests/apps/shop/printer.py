"""The worker at the label printers: leases labels warehouse by warehouse, prints, deletes.

Runs as its own process until it is told to stop: ``python -m shop.printer``.
"""

from __future__ import annotations

import contextlib
import signal
import threading

from shop import journal
from shop.inventory import LABELS

from gae_broker import taskqueue

LEASE_S = 2
BATCH = 8


def jams(order_id: str, run: int) -> bool:
    """Whether the printer eats this label: every tenth one, the first time."""
    return run == 0 and order_id.endswith("7")


def print_labels(queue: taskqueue.Queue) -> int:
    """Lease one warehouse's oldest labels and print them; how many were leased.

    A jammed label is not deleted, so its lease runs out and it is leased again.
    """
    tasks = queue.lease_tasks_by_tag(LEASE_S, BATCH)
    printed = []
    for task in tasks:
        order_id = task.payload.decode().partition(" ")[0]
        run = task.retry_count - 1
        if jams(order_id, run):
            journal.record("label", order_id, "failed", run)
        else:
            journal.record("label", order_id, "done", run)
            printed.append(task)
    queue.delete_tasks(printed)
    return len(tasks)


def main() -> None:
    """Print until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    queue = taskqueue.Queue(LABELS)
    while not stop.is_set():
        leased = 0
        with contextlib.suppress(taskqueue.TransientError):
            leased = print_labels(queue)
        if not leased:
            stop.wait(0.2)


if __name__ == "__main__":
    main()
