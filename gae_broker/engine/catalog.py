"""Which queues there are: queue.yaml, read again when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from gae_broker.domain import queue_yaml
from gae_broker.domain.queue import Mode, Queue, QueueFile
from gae_broker.domain.task import Kind
from gae_broker.errors import (
    ConfigurationError,
    InvalidQueueModeError,
    PermissionDeniedError,
    TransientError,
    UnknownQueueError,
)

_log = logging.getLogger(__name__)
_Stamp = tuple[int, int]


class Catalog:
    """The configured queues; safe to use from several threads.

    Args:
        source: a queue.yaml's path (an absent file means the ``default`` queue alone), or what was read from one.
        all_valid: treat every name as a push queue with App Engine's defaults (the test stub's ``_all_queues_valid``).
        declare: called with queues that came into being, before `get` answers with them.

    Raises:
        QueueYamlError: the file cannot be used.
    """

    def __init__(
        self,
        source: str | Path | QueueFile,
        *,
        all_valid: bool = False,
        declare: Callable[[Iterable[Queue]], None] = lambda _: None,
    ) -> None:
        self.all_valid = all_valid
        self._declare = declare
        self._lock = threading.RLock()
        self._path = None if isinstance(source, QueueFile) else Path(source)
        self._stamp: _Stamp | None = None
        self._file = source if isinstance(source, QueueFile) else self._load()

    @property
    def file(self) -> QueueFile:
        """The whole queue.yaml."""
        return self._file

    def get(self, name: str) -> Queue:
        """A queue by its name; a name that is not known makes the file be looked at again.

        Raises:
            UnknownQueueError: there is no such queue; the text lists those that there are.
        """
        queue = self._file.queues.get(name)
        if queue is not None:
            return queue
        self.reload_if_changed()
        with self._lock:
            queue = self._file.queues.get(name)
            if queue is not None:
                return queue
            if self.all_valid:
                return self._make(name)
        known = ", ".join(sorted(self._file.queues))
        raise UnknownQueueError(f"queue {name!r} is not in {self._path or 'queue.yaml'}; it has: {known}")

    def queues(self) -> list[Queue]:
        """All queues, in file order."""
        return list(self._file.queues.values())

    def reload_if_changed(self) -> bool:
        """Read the file again if its time or size changed; whether other queues are in force now.

        A file that cannot be used is logged and changes nothing; so is a broker that could not declare the new
        queues, and then the next call tries again.
        """
        with self._lock:
            if self._path is None or self._read_stamp() == self._stamp:
                return False
            before = self._stamp
            try:
                file = self._load()
                self._declare(file.queues.values())
            except (ConfigurationError, PermissionDeniedError) as exc:
                _log.warning("%s is ignored, the queues stay as they were: %s", self._path, exc)
                return False
            except TransientError as exc:
                self._stamp = before
                _log.warning("%s is not in force yet, its queues could not be declared: %s", self._path, exc)
                return False
            changed = file != self._file
            self._file = file
            if changed:
                self._tell(file)
            return changed

    def _tell(self, file: QueueFile) -> None:
        if self._stamp is None:
            _log.warning("%s is gone: only the queue 'default' exists", self._path)
            return
        _log.info("%s changed, in force now: %s", self._path, ", ".join(map(_brief, file.queues.values())))
        for warning in file.warnings:
            _log.warning("%s", warning)

    def _make(self, name: str) -> Queue:
        queue = Queue(name)
        self._declare([queue])
        self._file = replace(self._file, queues=MappingProxyType({**self._file.queues, name: queue}))
        return queue

    def _load(self) -> QueueFile:
        self._stamp = self._read_stamp()
        if self._path is None or self._stamp is None:
            return QueueFile()
        return queue_yaml.load_path(self._path)

    def _read_stamp(self) -> _Stamp | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return 0, -1  # reading it will say what is wrong
        return status.st_mtime_ns, status.st_size


def _brief(queue: Queue) -> str:
    return f"{queue.name} ({'pull' if queue.mode is Mode.PULL else queue.rate_text})"


def kind_of(queue: Queue) -> Kind:
    """The address of a queue's tasks in a broker."""
    return Kind.PULL if queue.mode is Mode.PULL else Kind.PUSH


def require_pull(catalog: Catalog, name: str) -> Queue:
    """A pull queue by its name.

    Raises:
        UnknownQueueError: there is no such queue.
        InvalidQueueModeError: it is a push queue.
    """
    queue = catalog.get(name)
    if queue.mode is not Mode.PULL:
        raise InvalidQueueModeError(f"queue {name!r} is a push queue; its tasks cannot be leased")
    return queue
