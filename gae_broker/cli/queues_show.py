"""``queues list`` and ``describe``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command
from gae_broker.cli.opened import opened
from gae_broker.cli.output import Table, distance, moment, write, write_fields
from gae_broker.cli.queue_argument import queue_argument
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import settings_flags
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.statistics import QueueFigures
from gae_broker.errors import PermissionDeniedError

_HEADINGS = ("QUEUE", "MODE", "STATE", "RATE", "ENFORCED", "BUCKET", "TASKS", "OLDEST", "IN FLIGHT", "LAST MINUTE")


def queue_data(runtime: Runtime, queue: Queue, figures: QueueFigures) -> dict[str, object]:
    """A queue as JSON; the first keys are those of App Engine's ``GetQueues``."""
    now_us = runtime.clock.now_us()
    push = queue.mode is Mode.PUSH
    return {
        "name": queue.name,
        "mode": queue.mode.value,
        "max_rate": queue.rate_text if push else None,
        "bucket_size": queue.bucket_size if push else None,
        "oldest_task": moment(figures.oldest_eta_us),
        "eta_delta": None if figures.oldest_eta_us is None else distance(figures.oldest_eta_us, now_us),
        "tasks_in_queue": figures.tasks,
        "state": state(runtime, queue),
        "enforced_rate": figures.enforced_rate if push else None,
        "max_concurrent_requests": queue.max_concurrent if push else None,
        "in_flight": figures.in_flight,
        "executed_last_minute": figures.executed_last_minute,
    }


def state(runtime: Runtime, queue: Queue) -> str:
    """``paused`` by an operator, ``stopped`` by a rate of 0, or ``running``."""
    if runtime.controller.is_paused(queue.name):
        return "paused"
    return "stopped" if queue.mode is Mode.PUSH and not queue.rate_per_s else "running"


@click.command(
    cls=Command,
    name="list",
    help="List the queues of queue.yaml with their figures.",
    short_help="List the queues with their figures.",
    examples=[
        ("gae-broker queues list", "the console's page as a table"),
        ("gae-broker queues list --format json | jq '.queues[] | select(.tasks_in_queue > 100)'", "long queues"),
    ],
)
@settings_flags()
def list_queues() -> None:
    """List queues."""
    session = current()
    with opened(session) as runtime:
        found = [
            queue_data(runtime, queue, runtime.statistician.fetch(queue.name)) for queue in runtime.catalog.queues()
        ]
    rows = [
        (
            item["name"],
            item["mode"],
            item["state"],
            item["max_rate"],
            None if item["enforced_rate"] is None else f"{item['enforced_rate']:g}/s",
            item["bucket_size"],
            item["tasks_in_queue"],
            item["eta_delta"],
            item["in_flight"] if item["mode"] == "push" else None,
            item["executed_last_minute"] if item["mode"] == "push" else None,
        )
        for item in found
    ]
    write(session, {"queues": found}, Table(_HEADINGS, rows))


@click.command(
    cls=Command,
    help="Show everything about a queue: as configured, as it is now, and where in queue.yaml it stands.",
    short_help="Show everything about a queue.",
    examples=[
        ("gae-broker queues describe mail", "settings and figures"),
        ("gae-broker queues describe mail --format json", "the same for a program"),
    ],
)
@queue_argument
@settings_flags()
def describe(queue: str) -> None:
    """Describe a queue."""
    session = current()
    with opened(session) as runtime:
        config = runtime.catalog.get(queue)
        data = queue_data(runtime, config, runtime.statistician.fetch(queue))
        path = runtime.catalog.file.path
        dead = _dead(runtime, queue)
    data |= {
        "dead_letters": dead,
        "target": config.target,
        "retry_parameters": _retry(config.retry),
        "acl": [{"user_email": entry.user_email, "writer_email": entry.writer_email} for entry in config.acl],
        "dispatch_deadline_s": None if config.deadline_us is None else config.deadline_us / 1e6,
        "defined": f"{path}:{config.line}" if config.line else "implicit",
    }
    fields = {name: value for name, value in data.items() if not isinstance(value, dict | list)}
    if data["enforced_rate"] is not None:
        fields["enforced_rate"] = f"{data['enforced_rate']:g}/s"
    fields |= {name: value for name, value in _retry(config.retry).items() if value is not None}
    write_fields(session, data, fields)


def _dead(runtime: Runtime, queue: str) -> int | None:
    """``None`` where the broker does not let this user see."""
    try:
        return runtime.statistician.dead(queue)
    except PermissionDeniedError:
        return None


def _retry(retry: RetryParameters) -> dict[str, object]:
    return {
        "task_retry_limit": retry.limit,
        "task_age_limit_s": retry.age_limit_s,
        "min_backoff_seconds": retry.min_backoff_s,
        "max_backoff_seconds": retry.max_backoff_s,
        "max_doublings": retry.max_doublings,
    }
