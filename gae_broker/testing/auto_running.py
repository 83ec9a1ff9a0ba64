"""Runs a bench's tasks as they come due, in a thread: App Engine's ``auto_task_running``."""

from __future__ import annotations

import logging
import threading

from gae_broker.errors import Error
from gae_broker.testing.bench import TaskBench

_log = logging.getLogger(__name__)
_LOOK_S = 0.02


class AutoRunner:
    """A thread that looks for due tasks and runs them.

    It looks often instead of computing when the next is due: the test may move the clock at any moment.
    """

    def __init__(self, bench: TaskBench) -> None:
        self._bench = bench
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; nothing happens where it has begun."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="gae-broker-auto-task-running", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, once the task under way has ended."""
        thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                ran = self._bench.run_pending()
            except Error:
                _log.exception("the task queue failed while tasks were run in the background")
                ran = []
            for run in ran:
                if run.exception is not None:
                    _log.error("queue %s task %s raised", run.queue, run.name, exc_info=run.exception)
            if not ran:
                self._stop.wait(_LOOK_S)
