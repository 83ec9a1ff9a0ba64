"""Telling open adapters of a fork: connections must neither be used nor closed on its other side."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What wants to know of a fork."""

    def before_fork(self) -> bool:
        """Come to rest; whether `after_in_parent` must follow."""

    def after_in_parent(self) -> None:
        """Go on as before."""

    def after_in_child(self) -> None:
        """Start over."""


class _Watch:
    """The process's hooks; Python offers no way to remove one, so there is one set of them for all adapters."""

    def __init__(self) -> None:
        self.watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
        self.resting: list[Forkable] = []
        self.lock = threading.Lock()
        self.hooked = False

    def add(self, watched: Forkable) -> None:
        with self.lock:
            self.watched.add(watched)
            if not self.hooked and hasattr(os, "register_at_fork"):
                self.hooked = True
                os.register_at_fork(before=self.before, after_in_parent=self.in_parent, after_in_child=self.in_child)

    def before(self) -> None:
        self.lock.acquire()
        self.resting = [watched for watched in self.watched if watched.before_fork()]

    def in_parent(self) -> None:
        for watched in self.resting:
            watched.after_in_parent()
        self.resting = []
        self.lock.release()

    def in_child(self) -> None:
        self.resting = []
        self.lock.release()
        for watched in list(self.watched):
            watched.after_in_child()


_WATCH = _Watch()


def watch(watched: Forkable) -> None:
    """Tell it of every fork of this process from now on, as long as it lives."""
    _WATCH.add(watched)
