"""Tasks and queues as the dicts that App Engine's stub lists them in.

Source: ``GetTasksAsDicts`` and ``GetQueuesAsDicts`` of the reference implementation's ``taskqueue_stub``, as executed.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NotRequired, TypedDict

from gae_broker.domain.queue import AclEntry, Mode, Queue
from gae_broker.domain.retry import DEFAULT, RetryParameters
from gae_broker.domain.task import Copy, Kind

TIME_FORMAT = "%Y/%m/%d %H:%M:%S"
_US = 1_000_000
_IMPLICIT_RATE = "5.00/s"
_DEFAULT_TYPE = ("Content-Type", "application/octet-stream")

BUILT_IN_HEADERS = frozenset(
    {
        "x-appengine-queuename",
        "x-appengine-taskname",
        "x-appengine-taskexecutioncount",
        "x-appengine-taskpreviousresponse",
        "x-appengine-taskretrycount",
        "x-appengine-tasketa",
        "x-appengine-development-payload",
        "content-length",
    },
)
"""Headers that a listed task never has from its caller."""


class TaskDict(TypedDict):
    """One task of ``GetTasks``.

    ``body`` is base64, and the Content-Length among ``headers`` is the length of that; ``eta`` is UTC in whole seconds.
    """

    name: str
    queue_name: str
    url: str
    method: str
    eta: str
    eta_usec: int
    eta_delta: str
    body: bytes
    creation_time_usec: int
    headers: list[tuple[str, str]]
    dispatch_deadline_usec: NotRequired[int]


class QueueDict(TypedDict):
    """One queue of ``GetQueues``; ``max_rate`` is the text of queue.yaml, empty for a pull queue."""

    name: str
    bucket_size: int
    max_rate: str
    mode: str
    acl: Acl | None
    oldest_task: str
    eta_delta: str
    tasks_in_queue: int
    retry_parameters: NotRequired[dict[str, int | float]]


@dataclass(frozen=True, slots=True)
class Acl:
    """A pull queue's access list, in the shape of App Engine's ``TaskQueueAcl``."""

    user_email: tuple[str, ...]
    writer_email: tuple[str, ...]


def task_dict(copy: Copy, now_us: int) -> TaskDict:
    """A task as ``GetTasks`` lists it; a pull task's method reads POST there, as in App Engine's stub."""
    content = copy.content
    body = base64.b64encode(content.payload)
    listed = TaskDict(
        name=copy.name,
        queue_name=copy.queue,
        url=content.url,
        method="POST" if content.kind is Kind.PULL else content.method,
        eta=format_eta(copy.eta_us),
        eta_usec=copy.eta_us,
        eta_delta=eta_delta(copy.eta_us, now_us),
        body=body,
        creation_time_usec=content.created_us // _US * _US,
        headers=_headers(copy, len(body)),
    )
    if content.deadline_us is not None:
        listed["dispatch_deadline_usec"] = content.deadline_us
    return listed


def queue_dict(queue: Queue, tasks: Sequence[Copy], now_us: int) -> QueueDict:
    """A queue as ``GetQueues`` lists it."""
    oldest_us = min((copy.eta_us for copy in tasks), default=None)
    listed = QueueDict(
        name=queue.name,
        bucket_size=queue.bucket_size,
        max_rate=_rate(queue),
        mode=queue.mode.value,
        acl=_acl(queue.acl),
        oldest_task="" if oldest_us is None else format_eta(oldest_us),
        eta_delta="" if oldest_us is None else eta_delta(oldest_us, now_us),
        tasks_in_queue=len(tasks),
    )
    if queue.retry != DEFAULT:
        listed["retry_parameters"] = _retry(queue.retry)
    return listed


def format_eta(eta_us: int) -> str:
    """A time as the stub writes it, in UTC and whole seconds."""
    return datetime.fromtimestamp(eta_us / _US, UTC).strftime(TIME_FORMAT)


def parse_eta(text: str) -> datetime:
    """The time that `format_eta` wrote."""
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)


def eta_delta(eta_us: int, now_us: int) -> str:
    """How far away a time is: ``0:00:06 ago`` or ``0:01:00 from now``."""
    if eta_us > now_us:
        return f"{timedelta(seconds=(eta_us - now_us) // _US)} from now"
    return f"{timedelta(seconds=(now_us - eta_us) // _US)} ago"


def _headers(copy: Copy, length: int) -> list[tuple[str, str]]:
    progress = copy.progress
    headers = [(name, value) for name, value in copy.content.headers if name.lower() not in BUILT_IN_HEADERS]
    headers += [
        ("X-AppEngine-QueueName", copy.queue),
        ("X-AppEngine-TaskName", copy.name),
        ("X-AppEngine-TaskRetryCount", str(progress.tries)),
        ("X-AppEngine-TaskETA", str(copy.eta_us / _US)),
        ("X-AppEngine-Development-Payload", "1"),
        ("Content-Length", str(length)),
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(_DEFAULT_TYPE)
    headers.append(("X-AppEngine-TaskExecutionCount", str(progress.executions)))
    if progress.last_status is not None:
        headers.append(("X-AppEngine-TaskPreviousResponse", str(progress.last_status)))
    return headers


def _rate(queue: Queue) -> str:
    if queue.mode is Mode.PULL:
        return ""
    return queue.rate_text if queue.line else _IMPLICIT_RATE


def _acl(entries: Sequence[AclEntry]) -> Acl | None:
    if not entries:
        return None
    users = tuple(entry.user_email for entry in entries if entry.user_email)
    return Acl(users, tuple(entry.writer_email for entry in entries if entry.writer_email))


def _retry(retry: RetryParameters) -> dict[str, int | float]:
    """What differs from the service's defaults; App Engine's stub lists what queue.yaml gave."""
    given: dict[str, int | float] = {}
    if retry.limit is not None:
        given["retry_limit"] = retry.limit
    if retry.age_limit_s is not None:
        given["age_limit_sec"] = retry.age_limit_s
    if retry.min_backoff_s != DEFAULT.min_backoff_s:
        given["min_backoff_sec"] = retry.min_backoff_s
    if retry.max_backoff_s != DEFAULT.max_backoff_s:
        given["max_backoff_sec"] = retry.max_backoff_s
    if retry.max_doublings != DEFAULT.max_doublings:
        given["max_doublings"] = retry.max_doublings
    return given
