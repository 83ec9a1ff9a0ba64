"""A process that leases pull tasks, logs each as run, and deletes it, until it is stopped.

Errors that App Engine's own client could raise are lived through, as such a worker would.
"""

from __future__ import annotations

import os
import sys
import time

from gae_broker import errors, taskqueue
from tests.faults import handler

AT_ONCE = 30


def main() -> None:
    """Lease from the queue given, for the seconds given."""
    queue, lease_s = taskqueue.Queue(sys.argv[1]), float(sys.argv[2])
    while True:
        try:
            leased = queue.lease_tasks(lease_s, AT_ONCE)
            for task in leased:
                identity, due_us, _, _ = str(task.payload.decode()).split()
                handler.write("begin", handler.now_us(), os.getpid(), identity, due_us, task.retry_count)
                handler.write("end", handler.now_us(), os.getpid(), identity, 200)
            if leased:
                queue.delete_tasks(leased)
            else:
                time.sleep(0.05)
        except (errors.TransientError, errors.UnknownQueueError, errors.DeadlineExceededError) as exc:
            sys.stdout.write(f"{exc!r}\n")
            sys.stdout.flush()
            time.sleep(0.2)


if __name__ == "__main__":
    main()
