"""Runs a relay: right after a commit, in a thread beside an application, or for good in a process of its own."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable

from gae_broker import errors
from gae_broker.engine.outbox import Relay, Relayed

_log = logging.getLogger("gae_broker.relay")
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 10.0
_PATIENCE_S = 5.0
_TURN_S = 1.0
_BATCHES = 4
"""After a commit: a request must not be busy with what others commit meanwhile."""


class Relayer:
    """Runs a relay when it is asked to, every so often besides, and again after a pause while rows are left.

    Args:
        relay: what to run.
        where: the database, as messages name it.
        every_s: how long its thread waits for somebody to wake it, in seconds.
        threaded: whether it may have a thread; without one, what is left waits for the next commit or relay.
    """

    def __init__(self, relay: Relay, where: str, *, every_s: float, threaded: bool = True) -> None:
        self._relay = relay
        self._where = where
        self._every_s = every_s
        self._threaded = threaded
        self._works = True
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()
        self._closing = False

    def after_commit(self, queues: Iterable[str]) -> None:
        """Relay these queues at once, in the calling thread, and leave what that leaves to our own.

        Nothing is raised: the transaction is committed, and its tasks are where they are safe. While nothing could
        be relayed lately, it is not tried here: the caller would wait for the broker in vain.
        """
        wanted = list(queues)
        if (self._works or not self._threaded) and self._attempt(
            lambda: self._relay.run(wanted, batches=_BATCHES, patience_s=_TURN_S)
        ):
            self._start()
        else:
            self.wake()

    def wake(self) -> None:
        """Something was committed: let our thread look now."""
        self._start()
        self._woken.set()

    def _start(self) -> None:
        """Start the thread where none runs, as in a forked child; it finds what crashed processes left behind."""
        if self._pid != os.getpid():
            self._forget()
        if self._thread is not None or self._closing or not self._threaded:
            return
        with self._lock:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self.run, name="gae-broker-relay", daemon=True)
                self._thread.start()
                _STARTED.add(self)
                atexit.unregister(_close_all)
                atexit.register(_close_all)

    def stop(self) -> None:
        """Let `run`, in whichever thread, end after the batch under way. Idempotent."""
        self._closing = True
        self._woken.set()

    def close(self) -> None:
        """End our thread. Idempotent."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self.stop()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE_S)

    def run(self) -> None:
        """Relay until it is closed."""
        pause_s = 0.0
        while not self._closing:
            self._woken.clear()
            if self._closing:  # it woke us just before
                return
            if self.run_once():
                pause_s = 0.0
                self._woken.wait(self._every_s)
            else:
                # What another relay holds is done in a moment; what a broker refuses may take it longer.
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._rest(pause_s)

    def run_once(self) -> bool:
        """Relay what there is; whether nothing was left."""
        return self._attempt(self._relay.run)

    def _attempt(self, run: Callable[[], Relayed]) -> bool:
        try:
            relayed = run()
        except errors.Error as exc:
            return self._failed(exc)
        except Exception:  # noqa: BLE001  (whatever it was, tasks are waiting)
            _log.exception("relaying from %s failed; it is tried again", self._where)
            self._works = False
            return False
        if relayed.error is not None:
            return self._failed(relayed.error)
        if not self._works and not relayed.left:
            self._works = True
            _log.warning("relaying from %s works again", self._where)
        if relayed.tasks:
            _log.debug("relayed %d tasks from %s", relayed.tasks, self._where)
        return not relayed.left

    def _failed(self, error: Exception) -> bool:
        if self._works:
            self._works = False
            _log.warning("relaying from %s: %s; the tasks stay there and are tried again", self._where, error)
        return False

    def _rest(self, pause_s: float) -> None:
        """Pause, whoever wakes us meanwhile; only the end comes through."""
        end_s = time.monotonic() + pause_s
        while not self._closing and (left_s := end_s - time.monotonic()) > 0:
            self._woken.wait(left_s)
            if not self._closing:
                self._woken.clear()


def _close_all() -> None:
    """At the process's end: a batch that is broken off would be held up until its claim runs out."""
    for relayer in list(_STARTED):
        relayer.close()


_STARTED: weakref.WeakSet[Relayer] = weakref.WeakSet()
