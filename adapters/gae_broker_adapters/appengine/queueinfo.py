"""``google.appengine.api.queueinfo`` where Google's library is missing: queue.yaml as objects.

Suites give the testbed's stub queues by ``stub.queue_yaml_parser = lambda root: queueinfo.LoadSingleQueue(text)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import yaml

from gae_broker.domain import queue_yaml
from gae_broker.errors import QueueYamlError

__all__ = [
    "AclEntry",
    "LoadSingleQueue",
    "MalformedQueueConfiguration",
    "ParseRate",
    "QueueEntry",
    "QueueInfoExternal",
    "RetryParameters",
]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class MalformedQueueConfiguration(Exception):  # noqa: N818 - App Engine's name
    """queue.yaml cannot be used."""


class _Readable(Protocol):
    def read(self) -> str | bytes: ...


class _Entry:
    """The values of one mapping as attributes; those that are not written are ``None``."""

    ATTRIBUTES: tuple[str, ...] = ()

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - YAML's
        for name in self.ATTRIBUTES:
            setattr(self, name, values.get(name))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Made of a mapping."""
        return cls(**values)

    def ToDict(self) -> dict[str, Any]:  # noqa: N802 - App Engine's names
        """What is written, as plain values."""
        return {name: _plain(value) for name in self.ATTRIBUTES if (value := getattr(self, name)) is not None}


class AclEntry(_Entry):
    """Who may use a pull queue."""

    ATTRIBUTES = ("user_email", "writer_email")


class RetryParameters(_Entry):
    """A queue's retry parameters."""

    ATTRIBUTES = ("task_retry_limit", "task_age_limit", "min_backoff_seconds", "max_backoff_seconds", "max_doublings")


class QueueEntry(_Entry):
    """One queue."""

    ATTRIBUTES = (
        "name",
        "rate",
        "mode",
        "bucket_size",
        "max_concurrent_requests",
        "retry_parameters",
        "acl",
        "target",
    )

    def __init__(self, **values: Any) -> None:  # noqa: ANN401
        super().__init__(**values)
        self.rate = None if values.get("rate") is None else str(values["rate"])
        if isinstance(values.get("retry_parameters"), Mapping):
            self.retry_parameters = RetryParameters.of(values["retry_parameters"])
        if values.get("acl") is not None:
            self.acl = [entry if isinstance(entry, AclEntry) else AclEntry.of(entry) for entry in values["acl"]]


class QueueInfoExternal(_Entry):
    """A whole queue.yaml."""

    ATTRIBUTES = ("application", "total_storage_limit", "resume_paused_queues", "queue")

    def __init__(self, **values: Any) -> None:  # noqa: ANN401
        super().__init__(**values)
        entries = values.get("queue")
        if entries is not None:
            self.queue = [entry if isinstance(entry, QueueEntry) else QueueEntry.of(entry) for entry in entries]


def LoadSingleQueue(queue_info: str | bytes | _Readable, open_fn: object = None) -> QueueInfoExternal:  # noqa: ARG001, N802
    """Read one queue.yaml, by our rules, which are App Engine's.

    Args:
        queue_info: its text, or an open file.
        open_fn: without meaning here.

    Raises:
        MalformedQueueConfiguration: it cannot be used.
    """
    text = queue_info if isinstance(queue_info, str | bytes) else queue_info.read()
    text = text.decode() if isinstance(text, bytes) else text
    try:
        queue_yaml.parse(text)
    except QueueYamlError as exc:
        raise MalformedQueueConfiguration(str(exc)) from exc
    return QueueInfoExternal.of(yaml.safe_load(text) or {})


def ParseRate(rate: str) -> float:  # noqa: N802
    """A rate in tasks a second.

    Raises:
        MalformedQueueConfiguration: it is none.
    """
    number, separator, unit = rate.partition("/")
    try:
        if not separator and float(number) == 0:
            return 0.0
        return float(number) / _SECONDS[unit]
    except (KeyError, ValueError) as exc:
        raise MalformedQueueConfiguration(f"rate {rate!r} is not a number, '/' and one of s, m, h, d") from exc


def _plain(value: object) -> object:
    if isinstance(value, _Entry):
        return value.ToDict()
    return [_plain(item) for item in value] if isinstance(value, list) else value
