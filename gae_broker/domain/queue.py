"""A queue as queue.yaml defines it, with App Engine's defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gae_broker.domain.retry import DEFAULT, RetryParameters

DEFAULT_QUEUE = "default"
DEFAULT_RATE_PER_S = 5.0
DEFAULT_BUCKET_SIZE = 5
DEFAULT_MAX_CONCURRENT = 1000


class Mode(StrEnum):
    """How a queue's tasks are processed."""

    PUSH = "push"
    PULL = "pull"


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One ``acl`` entry of a pull queue: who may lease and delete, who may insert."""

    user_email: str | None = None
    writer_email: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue's configuration.

    Attributes:
        name: ``[a-zA-Z0-9-]{1,100}``.
        mode: push or pull.
        rate_per_s: dispatches per second; 0 pauses the queue.
        rate_text: the rate as written (``5/m``), for display.
        bucket_size: capacity of the token bucket, in tasks.
        max_concurrent: attempts in flight at most, over all dispatchers.
        target: overrides each task's own target.
        retry: the queue's retry parameters; a task's own replace them wholesale.
        acl: who may use a pull queue over REST.
        deadline_us: a handler's time for one attempt where the task names none; ``None``: the configured default.
        extensions: the entry's ``x-gae-broker`` mapping, as written.
        line: where the entry stands in queue.yaml, 0 for the implicit ``default``.
    """

    name: str
    mode: Mode = Mode.PUSH
    rate_per_s: float = DEFAULT_RATE_PER_S
    rate_text: str = "5/s"
    bucket_size: int = DEFAULT_BUCKET_SIZE
    max_concurrent: int = DEFAULT_MAX_CONCURRENT
    target: str | None = None
    retry: RetryParameters = DEFAULT
    acl: tuple[AclEntry, ...] = ()
    deadline_us: int | None = None
    extensions: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    line: int = 0


@dataclass(frozen=True, slots=True)
class QueueFile:
    """A whole queue.yaml.

    Attributes:
        queues: by name, in file order; always contains ``default``.
        total_storage_limit: bytes over all queues, ``None`` where not set.
        resume_paused_queues: whether deploying the file resumes paused queues; ``None`` where not set.
        application: the file's ``application``, ``None`` where not set.
        path: where it was read, ``None`` for text.
        warnings: what was loaded but ignored or read otherwise than it looks, ``file:line: key: text`` each.
    """

    queues: Mapping[str, Queue] = field(
        default_factory=lambda: MappingProxyType({DEFAULT_QUEUE: Queue(DEFAULT_QUEUE)}),
    )
    total_storage_limit: int | None = None
    resume_paused_queues: bool | None = None
    application: str | None = None
    path: str | None = None
    warnings: tuple[str, ...] = ()
