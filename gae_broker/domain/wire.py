"""A task copy as a broker message, and back.

The body is the task's payload as it is; everything else is one JSON text (``meta``), readable in a
broker's own console. Keys are left out where they hold their default, so a plain task's meta is short.
Both are built from scratch for every copy: nothing a broker added to a message travels on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, overload

from gae_broker.domain.message import Message
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Content, Copy, Kind, Progress, Try
from gae_broker.errors import StorageError

VERSION = 1
# One for all, where `json.dumps` makes one for each call; what it is given is made here and holds no cycle.
_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def encode(copy: Copy, kind: Kind | None = None) -> Message:
    """The message that carries a copy; ``kind`` overrides the address (``Kind.DEAD``)."""
    content, progress = copy.content, copy.progress
    meta: dict[str, Any] = {"v": VERSION, "method": content.method, "created": content.created_us, "eta": copy.eta_us}
    if content.url:
        meta["url"] = content.url
    if content.headers:
        meta["headers"] = content.headers
    if content.tag is not None:
        meta["tag"] = content.tag
    if content.named:
        meta["named"] = True
    if content.target is not None:
        meta["target"] = content.target
    if content.deadline_us is not None:
        meta["deadline"] = content.deadline_us
    if content.retry is not None:
        meta["retry"] = _encode_retry(content.retry)
    if progress.tries or progress.reason:
        meta["progress"] = _encode_progress(progress)
    if copy.parent is not None:
        meta["parent"] = copy.parent
    text = _to_json(meta)
    address = kind or content.kind
    return Message(
        copy_id=copy.copy_id,
        kind=address,
        queue=copy.queue,
        key=content.name,
        due_us=0 if address is Kind.DEAD else copy.eta_us,
        meta=text,
        body=content.payload,
    )


class Messages(Sequence[Message]):
    """The messages that carry copies, each made when it is first looked at: the broker has the first ones meanwhile."""

    def __init__(self, copies: Sequence[Copy]) -> None:
        self._copies = copies
        self._made: list[Message | None] = [None] * len(copies)

    def __len__(self) -> int:
        return len(self._copies)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        made = self._made[index]
        if made is None:
            made = self._made[index] = encode(self._copies[index])
        return made


def decode(message: Message) -> Copy:
    """The copy that a message carries.

    Raises:
        StorageError: the meta is not of this format; the text names queue, task and the fault.
    """
    try:
        meta = json.loads(message.meta)
        if meta["v"] != VERSION:
            raise ValueError(f"version {meta['v']}, this release reads {VERSION}")  # noqa: TRY301
        return _decode(message, meta)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise StorageError(f"task {message.key!r} in queue {message.queue!r} cannot be read: {exc!r}") from exc


def is_named(message: Message) -> bool:
    """Whether the caller chose the task's name, told without decoding the rest.

    Inside a JSON text's strings every quote is escaped, so these characters can only be `encode`'s own key.
    """
    return '"named":true' in message.meta


def _decode(message: Message, meta: dict[str, Any]) -> Copy:
    retry = meta.get("retry")
    progress = meta.get("progress")
    content = Content(
        name=message.key,
        method=meta["method"],
        url=meta.get("url", ""),
        headers=tuple((name, value) for name, value in meta.get("headers", ())),
        payload=message.body,
        created_us=meta["created"],
        tag=meta.get("tag"),
        retry=None if retry is None else RetryParameters(*retry),
        deadline_us=meta.get("deadline"),
        target=meta.get("target"),
        named=meta.get("named", False),
    )
    return Copy(
        message.copy_id,
        message.queue,
        content,
        meta["eta"],
        Progress() if progress is None else _decode_progress(progress),
        meta.get("parent"),
    )


def _encode_retry(retry: RetryParameters) -> list[int | float | None]:
    return [retry.limit, retry.age_limit_s, retry.min_backoff_s, retry.max_backoff_s, retry.max_doublings]


def _encode_progress(progress: Progress) -> list[Any]:
    history = [[t.ended_us, t.duration_us, t.status, t.reason] for t in progress.history]
    return [
        progress.tries,
        progress.executions,
        progress.first_try_us,
        progress.last_status,
        progress.reason,
        history,
    ]


def _decode_progress(fields: list[Any]) -> Progress:
    tries, executions, first_try_us, last_status, reason, history = fields
    return Progress(tries, executions, first_try_us, last_status, reason, tuple(Try(*entry) for entry in history))
