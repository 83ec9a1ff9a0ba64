"""Numbers in queue.yaml: read as App Engine reads them, with a warning where that is not what stands there."""

from __future__ import annotations

import math
import re

import yaml

from gae_broker.domain.queue_yaml.document import Document
from gae_broker.domain.queue_yaml.values import unexpected
from gae_broker.errors import QueueYamlError

_EXPONENT = re.compile(r"[0-9]+(\.[0-9]*)?[eE]\+?[0-9]{1,3}")
WHOLE = "a whole number"
SECONDS = "a number of seconds"


def whole(document: Document, node: yaml.Node, key: str) -> int:
    """A whole number; fractions are dropped as App Engine drops them.

    Raises:
        QueueYamlError: not a number.
    """
    written = value = document.scalar(node, key, WHOLE)
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        value = float(value)  # App Engine reads 1e3 as a number, which YAML 1.1 does not
    try:
        number = int(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        number = None
    if number is None:
        raise _error(document, node, key, WHOLE)
    if isinstance(written, bool) or written != number:
        _note(document, node, key, str(number))
    return number


def seconds(document: Document, node: yaml.Node, key: str) -> float:
    """A finite number of seconds, 0 or more.

    Raises:
        QueueYamlError: not a number, negative, or infinite.
    """
    value = document.scalar(node, key, SECONDS)
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:  # neither holds for not-a-number
        raise _error(document, node, key, f"{SECONDS}, 0 or more")
    if isinstance(value, bool | str):
        document.warn(node, key, f"{_found(node)!r} is read as {number:g}")
    return number


def at_least(document: Document, node: yaml.Node, key: str, least: int) -> int:
    """A whole number that may not be below ``least``."""
    number = whole(document, node, key)
    if number < least:
        raise _error(document, node, key, f"{WHOLE}, {least} or more")
    return number


def _error(document: Document, node: yaml.Node, key: str, expected: str) -> QueueYamlError:
    return document.error(node, key, str(unexpected(_found(node), expected)))


def _note(document: Document, node: yaml.Node, key: str, meaning: str) -> None:
    if _found(node) != meaning:
        document.warn(node, key, f"{_found(node)!r} is read as {meaning}")


def _found(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""
