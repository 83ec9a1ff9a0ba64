"""What is ours in queue.yaml: the ``x-gae-broker`` mapping, at the top (for every queue) and in a queue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import yaml

from gae_broker.domain.queue_yaml.document import Document
from gae_broker.domain.time_units import UNIT_S
from gae_broker.errors import QueueYamlError

KEY = "x-gae-broker"
DISPATCH_DEADLINE = "dispatch_deadline"
KEYS = (DISPATCH_DEADLINE,)
_SHORTEST_S, _LONGEST_S = 15, 24 * 3_600  # App Engine's bounds of a task's own dispatch deadline
_DEADLINE = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_DEADLINE_EXPECTED = "15s to 24h, like 90s or 10m"


@dataclass(frozen=True, slots=True)
class Extensions:
    """An ``x-gae-broker`` mapping: as written, and as understood."""

    written: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    deadline_us: int | None = None


NONE = Extensions()


def read(document: Document, node: yaml.Node | None, key: str, common: Extensions = NONE) -> Extensions:
    """A mapping, laid over the file's common one.

    Raises:
        QueueYamlError: unknown keys, bad values.
    """
    if node is None:
        return common
    values = document.entries(node, key, KEYS)
    written = {name: document.scalar(value, f"{key}.{name}", "a value") for name, value in values.items()}
    deadline_us = common.deadline_us
    if DISPATCH_DEADLINE in values:
        deadline = values[DISPATCH_DEADLINE]
        place = f"{key}.{DISPATCH_DEADLINE}"
        deadline_us = document.attempt(deadline, place, _deadline_us, str(written[DISPATCH_DEADLINE]))
    return Extensions(MappingProxyType({**common.written, **written}), deadline_us)


def _deadline_us(text: str) -> int:
    match = _DEADLINE.fullmatch(text)
    seconds = int(match[1]) * UNIT_S[match[2]] if match else 0
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise QueueYamlError(f"found {text!r}, expected {_DEADLINE_EXPECTED}")
    return seconds * 1_000_000
