"""``tasks list`` and ``describe``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.opened import opened
from gae_broker.cli.output import write, write_fields
from gae_broker.cli.queue_argument import queue_argument
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import settings_flags
from gae_broker.cli.task_view import task_data, task_details, task_table
from gae_broker.domain.queue import Mode
from gae_broker.engine import refusal


@click.command(
    cls=Command,
    name="list",
    help="List a queue's tasks in the order of their etas: waiting, delayed, leased and running ones.",
    short_help="List a queue's tasks by eta.",
    examples=[
        ("gae-broker tasks list mail", "the next 100 tasks"),
        ("gae-broker tasks list mail --limit 1000 --format json | jq '.tasks[].name'", "names for a script"),
    ],
)
@queue_argument
@option("--limit", type=click.IntRange(1, 10_000), metavar="N", default=100, help="How many tasks at most.")
@settings_flags()
def list_tasks(queue: str, limit: int) -> None:
    """List tasks."""
    session = current()
    with opened(session) as runtime:
        pull = runtime.catalog.get(queue).mode is Mode.PULL
        copies = runtime.browser.tasks(queue, limit + 1)
        unlisted = runtime.browser.unlisted(queue)
        now_us = runtime.clock.now_us()
    found = [task_data(copy, now_us) for copy in copies[:limit]]
    more = len(copies) > limit
    empty = f"Queue '{queue}' has no tasks{' that can be listed' if unlisted else ''}."
    write(session, {"tasks": found, "more": more, "complete": not unlisted}, task_table(found, pull=pull), empty)
    if unlisted:
        session.tell(f"{unlisted.capitalize()}.")
    if more:
        session.tell(f"These are the first {limit}; --limit shows more.")


@click.command(
    cls=Command,
    help="Show everything about a task: request, eta, attempts so far and how they ended.",
    short_help="Show everything about a task.",
    examples=[
        ("gae-broker tasks describe mail welcome-42", "why is it still there?"),
        ("gae-broker tasks describe mail welcome-42 --show-payload --format json", "with its payload"),
    ],
)
@queue_argument
@click.argument("task")
@option("--show-payload", is_flag=True, help="Show the payload too.")
@settings_flags()
def describe(queue: str, task: str, *, show_payload: bool) -> None:
    """Describe a task."""
    session = current()
    with opened(session) as runtime:
        copy = runtime.browser.find(queue, task)
        if copy is None:
            raise refusal.unknown(queue, task)
        data = task_details(copy, runtime.clock.now_us(), payload=show_payload)
    fields = {name: value for name, value in data.items() if not isinstance(value, dict | list)}
    fields["headers"] = "\n".join(f"{name}: {value}" for name, value in copy.content.headers)
    fields["history"] = "\n".join(
        f"{item.status or '-'} {item.reason} {item.duration_us / 1e6:.3f}s" for item in copy.progress.history
    )
    if copy.content.retry is not None:
        fields["retry_options"] = "\n".join(f"{k}: {v}" for k, v in _options(data).items() if v is not None)
    write_fields(session, data, fields)


def _options(data: dict[str, object]) -> dict[str, object]:
    options = data["retry_options"]
    return options if isinstance(options, dict) else {}
