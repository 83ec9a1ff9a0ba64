"""Where a test's queues are defined: a file, a text, values, or a function in the place of App Engine's parser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import yaml

from gae_broker.domain import queue_yaml
from gae_broker.domain.queue import Queue, QueueFile
from gae_broker.engine.catalog import Catalog

FILE_NAMES = ("queue.yaml", "queue.yml", "WEB-INF/appengine-generated/queue.yaml")

Parser = Callable[[str | None], object]
"""App Engine's ``queue_yaml_parser``: gets the root path, answers with a ``QueueInfoExternal`` or ``None``."""

Queues = QueueFile | Mapping[str, object] | str | Path | None
"""What a test may give its queues as; see `read_queues`."""

_ENTRY_KEYS = ("name", "mode", "rate", "bucket_size", "max_concurrent_requests", "target")
_RETRY_KEYS = ("task_retry_limit", "task_age_limit", "min_backoff_seconds", "max_backoff_seconds", "max_doublings")
_FILE_KEYS = ("application", "total_storage_limit", "resume_paused_queues")


class QueueSource:
    """What the stub reads its queues from; each of its attributes may be set at any time.

    Attributes:
        root_path: a folder that may contain queue.yaml or queue.yml.
        config_path: a queue.yaml; looked for before ``root_path``.
        parser: asked instead of any file.
        fixed: queues given as values, where there is nothing else.
    """

    def __init__(self, root_path: str | None = None, config_path: str | None = None) -> None:
        self.root_path = root_path
        self.config_path = config_path
        self.parser: Parser | None = None
        self.fixed = QueueFile()
        self._read: tuple[Path, int, int] | None = None
        self._text = ""
        self._file = QueueFile()

    def load(self) -> QueueFile:
        """The queues as they are defined now; a file is parsed only if its time or size changed.

        Raises:
            QueueYamlError: they cannot be used.
        """
        if self.parser is not None:
            return self._parsed(self.parser(self.root_path))
        path = self._path()
        if path is None:
            return self.fixed
        status = path.stat()
        read = (path, status.st_mtime_ns, status.st_size)
        if read != self._read:
            self._file, self._text, self._read = queue_yaml.load_path(path), "", read
        return self._file

    def _parsed(self, info: object) -> QueueFile:
        """What the parser answered, read anew only if it says something else than the last time."""
        text = _as_yaml(info)
        if text is None:
            return read_queues(cast("Queues", info))
        if text != self._text:
            self._file, self._text, self._read = queue_yaml.parse(text), text, None
        return self._file

    def _path(self) -> Path | None:
        candidates = [] if self.config_path is None else [Path(self.config_path)]
        if self.root_path is not None:
            candidates += [Path(self.root_path, name) for name in FILE_NAMES]
        return next((path for path in candidates if path.is_file()), None)


class SourceCatalog(Catalog):
    """A catalog that looks at its source before each answer, as App Engine's stub does."""

    def __init__(self, source: QueueSource, *, all_valid: bool = False) -> None:
        super().__init__(source.load(), all_valid=all_valid)
        self._source = source
        self._loaded = self._file

    def declare_with(self, declare: Callable[[Iterable[Queue]], None]) -> None:
        """Have queues that come into being from now on declared by this function."""
        self._declare = declare

    @property
    def file(self) -> QueueFile:
        """The whole queue.yaml, as it is now."""
        self.reload_if_changed()
        return self._file

    def get(self, name: str) -> Queue:
        """A queue by its name.

        Raises:
            UnknownQueueError: there is no such queue.
            QueueYamlError: queue.yaml, or what the parser answered, cannot be used.
        """
        self.reload_if_changed()
        return super().get(name)

    def queues(self) -> list[Queue]:
        """All queues, in file order."""
        self.reload_if_changed()
        return super().queues()

    def reload_if_changed(self) -> bool:
        """Take over what the source says now; a test should fail where it is wrong, so errors are not swallowed."""
        with self._lock:
            loaded = self._source.load()
            if loaded == self._loaded:
                return False
            self._declare(loaded.queues.values())
            self._loaded = self._file = loaded
            return True


def read_queues(queues: Queues) -> QueueFile:
    """Queues from whatever a test gives them as.

    Args:
        queues: a parsed file; a mapping of queue.yaml's shape, or of queue names to what an entry may contain;
            queue.yaml's text (it has a line break or a colon); a path; ``None`` for the ``default`` queue alone.

    Raises:
        QueueYamlError: they cannot be used.
    """
    if queues is None:
        return QueueFile()
    if isinstance(queues, QueueFile):
        return queues
    if isinstance(queues, Path):
        return queue_yaml.load_path(queues)
    if isinstance(queues, str):
        return queue_yaml.parse(queues) if "\n" in queues or ":" in queues else queue_yaml.load_path(queues)
    return queue_yaml.parse(yaml.safe_dump(_document(queues), sort_keys=False))


def _as_yaml(info: object) -> str | None:
    """An App Engine ``QueueInfoExternal`` as queue.yaml, so that its rules hold; ``None`` where it is none."""
    if info is None or isinstance(info, QueueFile | Mapping | str | Path):
        return None
    document: dict[str, object] = _attributes(info, _FILE_KEYS)
    document["queue"] = [_entry(entry) for entry in getattr(info, "queue", None) or ()]
    return yaml.safe_dump(document, sort_keys=False)


def _document(queues: Mapping[str, object]) -> Mapping[str, object]:
    if isinstance(queues.get("queue"), list):
        return queues
    entries = [{"name": name, **(entry if isinstance(entry, Mapping) else {})} for name, entry in queues.items()]
    return {"queue": [_with_rate(entry) for entry in entries]}


def _with_rate(entry: Mapping[str, object]) -> Mapping[str, object]:
    """A test that names a queue seldom cares for its rate; queue.yaml wants one for a push queue."""
    return entry if entry.get("mode") == "pull" else {"rate": "5/s", **entry}


def _entry(entry: object) -> dict[str, object]:
    fields = _attributes(entry, _ENTRY_KEYS)
    retry = getattr(entry, "retry_parameters", None)
    if retry is not None:
        fields["retry_parameters"] = _attributes(retry, _RETRY_KEYS)
    acl = getattr(entry, "acl", None)
    if acl:
        fields["acl"] = [_attributes(item, ("user_email", "writer_email")) for item in acl]
    return fields


def _attributes(source: object, names: Iterable[str]) -> dict[str, object]:
    found = {name: getattr(source, name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}
