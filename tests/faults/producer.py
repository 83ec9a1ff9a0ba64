"""A process that adds numbered push or pull tasks in all ways there are, and logs each one that `add` confirmed.

Its log: ``ok <id>`` when an add returned; ``unsure <id> <error>`` when an unnamed one may have been stored and is added
again, which may run it twice; ``error <id> <error>`` for every other error, after which the task is added again.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from gae_broker import errors, taskqueue
from tests.faults import handler

NAME_TAKEN = (errors.TaskAlreadyExistsError, errors.TombstonedTaskError)
NOT_STORED = (errors.UnknownQueueError, errors.PublishRejectedError, errors.LedgerUnavailableError)
WAYS = ("unnamed", "unnamed", "named", "delayed", "named-delayed", "batch")
BATCH = 20
PAUSE_S = 0.1


class Producer:
    """Adds tasks ``<prefix>-<number>`` to one queue.

    Args:
        queue, method: where to, ``POST`` or ``PULL``.
        prefix: of the ids; also the seed of what is random.
        work_ms: how long the handler shall take.
    """

    def __init__(self, queue: str, method: str, prefix: str, work_ms: int) -> None:
        self._queue = taskqueue.Queue(queue)
        self._method = method
        self._prefix = prefix
        self._work_ms = work_ms
        self._chance = random.Random(prefix)
        self._number = 0
        self._is_stopped = False

    def _stop(self) -> None:
        self._is_stopped = True

    def run(self, count: int, every_s: float) -> None:
        """Add ``count`` tasks, pausing ``every_s`` between the calls; fewer where SIGTERM comes before."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        while self._number < count and not self._is_stopped:
            way = self._chance.choice(WAYS)
            self._add([self._make(way) for _ in range(BATCH if way == "batch" else 1)])
            time.sleep(every_s)
        handler.write("finished")

    def _make(self, way: str) -> dict[str, object]:
        identity = f"{self._prefix}-{self._number:05}"
        self._number += 1
        delayed = "delayed" in way or (way == "batch" and self._chance.random() < 0.3)
        countdown_s = self._chance.uniform(0, 3) if delayed else 0.0
        due_us = handler.now_us() + round(countdown_s * 1e6)
        failures = 1 if self._method == "POST" and self._chance.random() < 0.1 else 0
        name = identity if "named-" in way or way == "named" or (way == "batch" and self._number % 4 == 0) else None
        made: dict[str, object] = {
            "name": name,
            "payload": handler.body(identity, due_us, self._work_ms, failures),
            "method": self._method,
        }
        return made | ({"countdown": countdown_s} if countdown_s else {})

    def _add(self, wanted: list[dict[str, object]]) -> None:
        while wanted:
            tasks = [taskqueue.Task(**arguments) for arguments in wanted]  # type: ignore[arg-type]
            error: Exception | None = None
            try:
                self._queue.add(tasks)
            except (errors.TransientError, errors.UnknownQueueError, *NAME_TAKEN) as exc:
                error = exc
            # Who is told that a name is taken knows that every task of the call was added, now or before.
            done = [task.was_enqueued or isinstance(error, NAME_TAKEN) for task in tasks]
            for arguments, is_done in zip(wanted, done, strict=True):
                self._log(arguments, error if not is_done else None)
            wanted = [arguments for arguments, is_done in zip(wanted, done, strict=True) if not is_done]
            if wanted:
                time.sleep(PAUSE_S)

    def _log(self, arguments: dict[str, object], error: Exception | None) -> None:
        identity = str(arguments["payload"]).split()[0]
        if error is None:
            handler.write("ok", identity)
        elif arguments["name"] is None and not isinstance(error, NOT_STORED):
            handler.write("unsure", identity, type(error).__name__)
        else:
            handler.write("error", identity, type(error).__name__)


def main() -> None:
    """Add as the arguments say: queue, method, prefix, count, pause between the calls, the handler's work."""
    queue, method, prefix, count, every_s, work_ms = sys.argv[1:]
    sys.stdout.write(f"{os.getpid()}\n")
    Producer(queue, method, prefix, int(work_ms)).run(int(count), float(every_s))


if __name__ == "__main__":
    main()
