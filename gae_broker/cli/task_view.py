"""A task as JSON and as rows."""

from __future__ import annotations

import base64

from gae_broker.cli.output import Table, distance, moment
from gae_broker.domain.task import Copy, Kind

_HEADINGS = ("TASK", "STATE", "ETA", "METHOD", "URL", "TRIES", "LAST", "BYTES")
_PULL_HEADINGS = ("TASK", "STATE", "ETA", "TAG", "LEASES", "BYTES")


def task_data(copy: Copy, now_us: int) -> dict[str, object]:
    """What a list shows of a task."""
    content, progress = copy.content, copy.progress
    return {
        "name": copy.name,
        "queue_name": copy.queue,
        "state": state(copy, now_us),
        "method": content.method,
        "url": content.url or None,
        "tag": content.tag,
        "eta": moment(copy.eta_us),
        "eta_delta": distance(copy.eta_us, now_us),
        "created": moment(content.created_us),
        "tries": progress.tries,
        "executions": progress.executions,
        "last_status": progress.last_status,
        "last_reason": progress.reason or None,
        "payload_bytes": len(content.payload),
    }


def state(copy: Copy, now_us: int) -> str:
    """``due``; before its eta a push task is ``delayed``, or waits to ``retry``; a pull task may be ``leased``."""
    if copy.eta_us <= now_us:
        return "due"
    if not copy.progress.tries:
        return "delayed"
    return "leased" if copy.content.kind is Kind.PULL else "retry"


def task_details(copy: Copy, now_us: int, *, payload: bool) -> dict[str, object]:
    """Everything about a task; its payload only where it is asked for."""
    content = copy.content
    retry = content.retry
    data = task_data(copy, now_us) | {
        "named": content.named,
        "target": content.target,
        "headers": [f"{name}: {value}" for name, value in content.headers],
        "dispatch_deadline_s": None if content.deadline_us is None else content.deadline_us / 1e6,
        "first_try": moment(copy.progress.first_try_us),
        "retry_options": None
        if retry is None
        else {
            "task_retry_limit": retry.limit,
            "task_age_limit_s": retry.age_limit_s,
            "min_backoff_seconds": retry.min_backoff_s,
            "max_backoff_seconds": retry.max_backoff_s,
            "max_doublings": retry.max_doublings,
        },
        "history": [
            {
                "ended": moment(item.ended_us),
                "duration_s": item.duration_us / 1e6,
                "status": item.status,
                "reason": item.reason,
            }
            for item in copy.progress.history
        ],
    }
    return data | payload_data(copy) if payload else data


def payload_data(copy: Copy) -> dict[str, object]:
    """The payload as text, or as base64 where it is none."""
    try:
        return {"payload": copy.content.payload.decode("utf-8")}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(copy.content.payload).decode("ascii")}


def task_table(tasks: list[dict[str, object]], *, pull: bool) -> Table:
    """Tasks as rows."""
    if pull:
        keys = ("name", "state", "eta_delta", "tag", "tries", "payload_bytes")
        return Table(_PULL_HEADINGS, [[task[key] for key in keys] for task in tasks])
    rows = []
    for task in tasks:
        last = " ".join(str(part) for part in (task["last_status"], task["last_reason"]) if part)
        row = [task[key] for key in ("name", "state", "eta_delta", "method", "url", "tries")]
        rows.append([*row, last, task["payload_bytes"]])
    return Table(_HEADINGS, rows)
