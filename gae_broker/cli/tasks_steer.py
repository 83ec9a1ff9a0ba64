"""``tasks lease``, ``delete`` and ``run``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.confirm import confirm, count
from gae_broker.cli.opened import opened
from gae_broker.cli.output import Table, write
from gae_broker.cli.parameter_types import Time
from gae_broker.cli.queue_argument import queue_argument
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import settings_flags
from gae_broker.cli.task_view import payload_data, task_data
from gae_broker.errors import Error, UnknownTaskError
from gae_broker.taskqueue import MAX_LEASE_SECONDS, MAX_TASKS_PER_LEASE


@click.command(
    cls=Command,
    help="Lease tasks of a pull queue and print them with their payloads. Until the lease ends nobody else gets them; "
    "delete them when they are done.",
    short_help="Lease tasks of a pull queue.",
    examples=[
        ("gae-broker tasks lease inbox --for 10m --max 5 --format json", "five tasks for ten minutes"),
        ("gae-broker tasks lease inbox --by-tag", "tasks that share the oldest task's tag"),
    ],
)
@queue_argument
@option(
    "--for",
    "seconds",
    envvar="GAE_BROKER_TASKS_LEASE_FOR",
    type=Time(0, MAX_LEASE_SECONDS),
    default="1m",
    metavar="TIME",
    help="How long.",
)
@option(
    "--max",
    "most",
    envvar="GAE_BROKER_TASKS_LEASE_MAX",
    type=click.IntRange(1, MAX_TASKS_PER_LEASE),
    metavar="N",
    default=1,
    help="How many tasks at most.",
)
@option("--by-tag", is_flag=True, help="Only tasks with the tag that the oldest task has.")
@option("--tag", metavar="TAG", help="Only tasks with this tag.")
@settings_flags()
def lease(queue: str, seconds: float, most: int, *, by_tag: bool, tag: str | None) -> None:
    """Lease tasks."""
    session = current()
    with opened(session) as runtime:
        by_tag = by_tag or tag is not None
        copies = runtime.leaser.lease(queue, round(seconds * 1e6), most, by_tag=by_tag, tag=tag)
        now_us = runtime.clock.now_us()
    found = [task_data(copy, now_us) | payload_data(copy) for copy in copies]
    rows = [
        (task["name"], task["tag"], task["tries"], task["eta_delta"], _one_line(task.get("payload", "(binary)")))
        for task in found
    ]
    table = Table(("TASK", "TAG", "LEASES", "ENDS", "PAYLOAD"), rows)
    write(session, {"tasks": found}, table, f"Queue '{queue}' has no task to lease now.")


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - what a terminal's line leaves room for


@click.command(
    cls=Command,
    help="Delete tasks by name, delayed and leased ones too. An attempt under way ends, but is not tried again.",
    short_help="Delete tasks by name.",
    examples=[
        ("gae-broker tasks delete mail welcome-42", "asks first"),
        ("gae-broker tasks delete mail welcome-42 welcome-43 --yes", "does not ask, as in a script"),
    ],
)
@queue_argument
@click.argument("names", nargs=-1, required=True, metavar="TASK...")
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@settings_flags()
def delete(queue: str, names: tuple[str, ...], *, yes: bool) -> None:
    """Delete tasks."""
    session = current()
    with opened(session) as runtime:
        runtime.catalog.get(queue)
        confirm(f"delete {count(len(names), 'task')} of queue '{queue}'", yes=yes)
        deleted = runtime.remover.delete(queue, list(names))
    results = dict(zip(names, deleted, strict=True))
    data = {"tasks": [{"name": name, "deleted": done} for name, done in results.items()]}
    write(
        session, data, Table(("TASK", "DELETED"), [(name, "yes" if done else "no") for name, done in results.items()])
    )
    missing = [name for name, done in results.items() if not done]
    if missing:
        raise UnknownTaskError(f"{count(len(missing), 'task')} not in queue '{queue}': {', '.join(missing)}")


@click.command(
    cls=Command,
    help="Make a push task due now, so that a dispatcher runs it next, within the queue's rate. Its eta is gone.",
    short_help="Make a push task due now.",
    examples=[
        ("gae-broker tasks run mail reminder-7", "do not wait for its eta or its next retry"),
        ("gae-broker tasks list mail && gae-broker tasks run mail reminder-7", "look first"),
    ],
)
@queue_argument
@click.argument("task")
@settings_flags()
def run(queue: str, task: str) -> None:
    """Run a task now."""
    session = current()
    with opened(session) as runtime:
        runtime.browser.run_now(queue, task)
        try:
            paused = runtime.controller.is_paused(queue)
        except Error:
            paused = False
    session.tell(f"Task '{task}' of queue '{queue}' is due now.")
    if paused:
        session.warn(f"queue '{queue}' is paused; the task waits until it is resumed")
