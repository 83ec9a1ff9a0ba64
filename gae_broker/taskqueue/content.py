"""A Task as the engine stores it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from gae_broker.domain import params as forms
from gae_broker.domain.caseless import Headers
from gae_broker.domain.task import PULL, Content
from gae_broker.domain.task_arguments import shown, tag_text
from gae_broker.errors import BadTaskStateError, InvalidTaskError
from gae_broker.taskqueue.retry_options import TaskRetryOptions, parameters

DEFAULT_QUEUE_PATH = "/_ah/queue"
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile(rb"[\r\n\0]")

Pairs = Sequence[tuple[bytes, bytes]]


class TaskLike(Protocol):
    """What is read of a Task."""

    @property
    def name(self) -> str | None:
        """As `Task.name`."""

    @property
    def method(self) -> str:
        """As `Task.method`."""

    @property
    def url(self) -> str:
        """As `Task.url`."""

    @property
    def on_queue_url(self) -> bool:
        """As `Task.on_queue_url`."""

    @property
    def payload(self) -> str | bytes | None:
        """As `Task.payload`."""

    @property
    def tag(self) -> str | bytes | None:
        """As `Task.tag`."""

    @property
    def retry_options(self) -> TaskRetryOptions | None:
        """As `Task.retry_options`."""

    @property
    def dispatch_deadline_usec(self) -> int | None:
        """As `Task.dispatch_deadline_usec`."""


def flatten_headers(headers: Headers) -> Pairs:
    """The header lines; an iterable value makes a line for each of its elements.

    Raises:
        InvalidTaskError: a name or value that no HTTP request can carry, and that could smuggle in another header.
    """
    pairs = forms.flatten(headers.as_dict())
    for name, value in pairs:
        if not _TOKEN.fullmatch(name):
            raise InvalidTaskError(f"header name {shown(name.decode(errors='replace'))} is no HTTP header name")
        if _BREAKS.search(value):
            raise InvalidTaskError(f"header {name.decode()}: its value {shown(value)} has a line break or NUL in it")
    return pairs


def make(task: TaskLike, queue_name: str, headers: Pairs, target: str | None) -> Content:
    """The content of a task that is to be added to this queue.

    Raises:
        BadTaskStateError: a pull task without bytes for a payload.
        InvalidTaskRetryOptionsError: retry options that are no numbers of their kind.
    """
    payload = task.payload
    if isinstance(payload, str):
        payload = payload.encode()
    name = task.name or ""
    if task.method == PULL:
        if not isinstance(payload, bytes):
            raise BadTaskStateError(f"Pull task must have a payload; this one's is {shown(payload)}")
        return Content(name, PULL, payload=payload, tag=tag_text(task.tag) or None, named=bool(name))
    return Content(
        name,
        task.method,
        url=f"{DEFAULT_QUEUE_PATH}/{queue_name}{task.url}" if task.on_queue_url else task.url,
        headers=tuple((_decode(key), _decode(value)) for key, value in headers),
        payload=payload if isinstance(payload, bytes) else b"",
        retry=None if task.retry_options is None else parameters(task.retry_options),
        deadline_us=task.dispatch_deadline_usec,
        target=target,
        named=bool(name),
    )


def _decode(header: bytes) -> str:
    """Text of what is UTF-8; other bytes as HTTP's own Latin-1."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")
