"""Tasks and queues as the API shows them."""

from __future__ import annotations

import base64
from typing import Any

from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Copy
from gae_broker.engine.statistics import QueueFigures
from gae_broker.web.rest.methods import QUEUE_KIND, TASK_KIND

_US = 1_000_000


def task(copy: Copy, queue_name: str, *, payload: bool = True) -> dict[str, Any]:
    """A task.

    Args:
        copy: the task.
        queue_name: how the queue is named in it.
        payload: whether to show the payload.
    """
    content = copy.content
    shown: dict[str, Any] = {
        "kind": TASK_KIND,
        "id": copy.name,
        "queueName": queue_name,
        "enqueueTimestamp": str(content.created_us),
        "leaseTimestamp": str(copy.eta_us),
        "retry_count": copy.progress.tries,
    }
    if payload:
        shown["payloadBase64"] = encoded(content.payload)
    if content.tag is not None:
        shown["tag"] = content.tag
    return shown


def encoded(payload: bytes) -> str:
    """A payload in the url-safe alphabet, with its padding."""
    return base64.urlsafe_b64encode(payload).decode("ascii")


def long_name(project: str, queue: str) -> str:
    """A queue's name with its project's, as it stands in leased tasks."""
    return f"projects/{project}/taskqueues/{queue}"


def taskqueue(queue: Queue) -> dict[str, Any]:
    """A queue."""
    shown: dict[str, Any] = {"kind": QUEUE_KIND, "id": queue.name}
    if queue.retry.limit is not None:
        shown["maxLeases"] = queue.retry.limit
    shown["acl"] = {
        "adminEmails": [],
        "consumerEmails": [entry.user_email for entry in queue.acl if entry.user_email],
        "producerEmails": [entry.writer_email for entry in queue.acl if entry.writer_email],
    }
    return shown


def stats(figures: QueueFigures, last_minute: int, last_hour: int) -> dict[str, Any]:
    """A queue's figures.

    Args:
        figures: the engine's.
        last_minute: how many tasks were leased within a minute.
        last_hour: and within an hour.
    """
    return {
        "totalTasks": figures.tasks,
        "oldestTask": str((figures.oldest_eta_us or 0) // _US),
        "leasedLastMinute": str(last_minute),
        "leasedLastHour": str(last_hour),
    }
