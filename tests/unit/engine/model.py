"""App Engine's pull queue in forty lines: the reference that the engine's histories are compared with."""

from __future__ import annotations

from dataclasses import dataclass

S = 1_000_000


class RefusedError(Exception):
    """An operation that App Engine refuses; its text is the error's class name."""


@dataclass
class Entry:
    """One task."""

    name: str
    eta_us: int
    tag: str | None
    leases: int = 0


class Model:
    """A pull queue: tasks by name, names that are taken, and whether it is paused."""

    def __init__(self, limit: int | None) -> None:
        self.tasks: dict[str, Entry] = {}
        self.tombs: set[str] = set()
        self.paused = False
        self._limit = limit

    def add(self, name: str, eta_us: int, tag: str | None) -> None:
        if name in self.tasks:
            raise RefusedError("TaskAlreadyExistsError")
        if name in self.tombs:
            raise RefusedError("TombstonedTaskError")
        self.tasks[name] = Entry(name, eta_us, tag or None)

    def lease(self, now_us: int, lease_us: int, count: int, by_tag: bool, tag: str | None) -> list[tuple[str, int]]:
        if self.paused:
            return []
        ready = sorted((e for e in self.tasks.values() if e.eta_us < now_us), key=lambda e: (e.eta_us, e.name))
        if by_tag and ready:
            wanted = tag or ready[0].tag
            ready = [entry for entry in ready if entry.tag == wanted]
        leased = []
        for entry in ready[:count]:
            if self._limit is not None and entry.leases >= self._limit:
                self.delete(entry.name)
                continue
            entry.eta_us = now_us + lease_us
            entry.leases += 1
            leased.append((entry.name, entry.leases))
        return leased

    def modify(self, name: str, now_us: int, expected_eta_us: int, lease_us: int) -> int:
        if self.paused:
            raise RefusedError("QueuePausedError")
        if name in self.tombs:
            raise RefusedError("TombstonedTaskError")
        if name not in self.tasks:
            raise RefusedError("UnknownTaskError")
        entry = self.tasks[name]
        if entry.eta_us != expected_eta_us or entry.eta_us < now_us:
            raise RefusedError("TaskLeaseExpiredError")
        entry.eta_us = now_us + lease_us
        return entry.eta_us

    def delete(self, name: str) -> bool:
        if name not in self.tasks:
            return False
        del self.tasks[name]
        self.tombs.add(name)
        return True

    def purge(self) -> None:
        self.tombs |= set(self.tasks)
        self.tasks.clear()
