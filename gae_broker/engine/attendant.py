"""A thread that does what belongs to no call, in processes that have no loop to do it in: web servers, pull workers."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from typing import Protocol

from gae_broker import errors
from gae_broker.engine.notes import Notes

_log = logging.getLogger(__name__)
_PAUSE_S = 1.0
_HOUSEWORK_S = 10.0
_PATIENCE_S = 5.0


class Worker(Protocol):
    """Does a bounded amount of regular work."""

    def run_once(self) -> object:
        """Do it once; may raise `gae_broker.errors.Error`."""


class Attendant:
    """Writes notes about once a second while there are any, and keeps house while the process leases tasks.

    The thread starts with the first note and ends when nothing was noted for a while. At the process's end what is
    left is written. A forked child starts a thread of its own.

    Args:
        notes: what to write.
        housekeeper: what to call every ten seconds.
    """

    def __init__(self, notes: Notes, housekeeper: Worker) -> None:
        self._notes = notes
        self._housekeeper = housekeeper
        self._forget()
        notes.wake = self.wake
        _OPEN.add(self)
        atexit.unregister(_close_all)
        atexit.register(_close_all)

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken = self._closed = False
        self._stop = threading.Event()

    def wake(self) -> None:
        """There is something to do."""
        if self._pid != os.getpid():
            self._forget()
        self._woken = True
        if self._thread is not None or self._closed:
            return
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="gae-broker-attendant", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread and write what is left. Idempotent."""
        _OPEN.discard(self)
        if self._pid != os.getpid() or self._closed:
            return
        with self._lock:
            self._closed = True
            thread = self._thread
        self._stop.set()
        if thread is not None:
            thread.join(_PATIENCE_S)
        self._notes.flush()

    def _run(self) -> None:
        house_at_s = 0.0
        while not self._stop.wait(_PAUSE_S):
            with self._lock:
                if not self._woken:
                    self._thread = None  # the next note starts another one
                    return
                self._woken = False
            self._notes.flush()
            if time.monotonic() >= house_at_s:
                house_at_s = time.monotonic() + _HOUSEWORK_S
                self._keep_house()

    def _keep_house(self) -> None:
        try:
            self._housekeeper.run_once()
        except errors.Error as exc:
            _log.info("housekeeping is tried again later: %s", exc)


def _close_all() -> None:
    for attendant in list(_OPEN):
        attendant.close()


_OPEN: weakref.WeakSet[Attendant] = weakref.WeakSet()
