"""queue.yaml as a whole: from text to a `QueueFile`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml

from gae_broker.domain.queue import DEFAULT_QUEUE, Queue, QueueFile
from gae_broker.domain.queue_yaml import extensions
from gae_broker.domain.queue_yaml.document import NULL, Document, describe
from gae_broker.domain.queue_yaml.entry import read_queue
from gae_broker.domain.queue_yaml.values import STORAGE_EXPECTED, parse_total_storage_limit, unexpected
from gae_broker.errors import QueueYamlError

KEYS = ("queue", "total_storage_limit", "resume_paused_queues", "application", extensions.KEY)
LONGEST_NAME = 100  # what clients and the service take
_PARTITION = r"(?:[a-z\d\-]{1,100}~)?"
_DOMAIN = r"(?:(?!\-)[a-z\d\-\.]{1,100}:)?"
_APPLICATION = re.compile(_PARTITION + _DOMAIN + r"(?!-)[a-z\d\-]{0,99}[a-z\d]", re.ASCII)
_APPLICATION_EXPECTED = "an application id: lower case letters, digits and '-', 'domain:' or 's~' before it"


def load_path(path: str | Path) -> QueueFile:
    """Read a queue.yaml file.

    Raises:
        QueueYamlError: it cannot be read, or `parse` raises it.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as exc:
        raise QueueYamlError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise QueueYamlError(f"{path}:{line}: found a byte that is not UTF-8, expected a UTF-8 text file") from exc
    return parse(text, str(path))


def parse(text: str, path: str | None = None) -> QueueFile:
    """Read the text of a queue.yaml.

    Args:
        text: the YAML text.
        path: the name that errors print; ``queue.yaml`` where there is none.

    Raises:
        QueueYamlError: ``file:line: key: what was found, what was expected``.
    """
    document = Document(text, path or "queue.yaml")
    root = document.root()
    if root.tag == NULL:
        document.warn(root, "", "the queue configuration is empty; only the 'default' queue exists")
        return QueueFile(path=path, warnings=tuple(document.warnings))
    values = document.entries(root, "", KEYS)
    return QueueFile(
        queues=_queues(document, values),
        total_storage_limit=_storage(document, values.get("total_storage_limit")),
        resume_paused_queues=_resume(document, values.get("resume_paused_queues")),
        application=_application(document, values.get("application")),
        path=path,
        warnings=tuple(document.warnings),
    )


def _queues(document: Document, values: Mapping[str, yaml.Node]) -> Mapping[str, Queue]:
    common = extensions.read(document, values.get(extensions.KEY), extensions.KEY)
    queues: dict[str, Queue] = {}
    lines: dict[str, int] = {}
    for node in document.items(values["queue"], "queue") if "queue" in values else ():
        queue = read_queue(document, node, common)
        if queue.name in lines:
            first = lines[queue.name]
            raise document.error(node, "name", f"a second queue '{queue.name}', the first is on line {first}")
        lines[queue.name] = queue.line
        if 1 <= len(queue.name) <= LONGEST_NAME:
            queues[queue.name] = queue
        else:
            # The parser takes 0 to 499 characters; no client can name such a queue.
            document.warn(node, "name", f"{queue.name!r} has not 1 to 100 characters; no task can be added, ignored")
    queues.setdefault(DEFAULT_QUEUE, Queue(DEFAULT_QUEUE, deadline_us=common.deadline_us))
    return MappingProxyType(queues)


def _storage(document: Document, node: yaml.Node | None) -> int | None:
    if node is None:
        return None
    key = "total_storage_limit"
    return document.attempt(
        node, key, parse_total_storage_limit, document.text(node, key, STORAGE_EXPECTED, plain=False)
    )


def _resume(document: Document, node: yaml.Node | None) -> bool | None:
    if node is None:
        return None
    expected = "true or false"
    text = document.text(node, "resume_paused_queues", expected, plain=False)
    if text not in ("True", "False"):
        raise document.error(node, "resume_paused_queues", str(unexpected(text, expected)))
    return text == "True"


def _application(document: Document, node: yaml.Node | None) -> str | None:
    if node is None:
        return None
    text = document.text(node, "application", _APPLICATION_EXPECTED)
    if not _APPLICATION.fullmatch(text):
        found = text if isinstance(node, yaml.ScalarNode) else describe(node)
        raise document.error(node, "application", str(unexpected(found, _APPLICATION_EXPECTED)))
    return text
