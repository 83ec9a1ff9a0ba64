"""``tasks add``."""

from __future__ import annotations

import datetime
from typing import IO, TypedDict, Unpack

import click

from gae_broker import taskqueue
from gae_broker.cli.command import Command, option
from gae_broker.cli.opened import opened
from gae_broker.cli.output import Table, distance, moment, write
from gae_broker.cli.parameter_types import Moment, Pair, Time
from gae_broker.cli.queue_argument import queue_argument
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import settings_flags
from gae_broker.domain.queue import Mode

_DAY_S = 86_400
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "PULL")
_RETRY = ("task_retry_limit", "task_age_limit", "min_backoff_seconds", "max_backoff_seconds", "max_doublings")


class Given(TypedDict):
    """What the flags say of the task; ``None`` where they say nothing."""

    url: str | None
    method: str | None
    payload: str | None
    payload_file: IO[bytes] | None
    param: tuple[tuple[str, str], ...]
    header: tuple[tuple[str, str], ...]
    name: str | None
    countdown: float | None
    eta: datetime.datetime | None
    tag: str | None
    target: str | None
    deadline: float | None
    task_retry_limit: int | None
    task_age_limit: float | None
    min_backoff_seconds: float | None
    max_backoff_seconds: float | None
    max_doublings: int | None


@click.command(
    cls=Command,
    help="Add a task to a queue, by the rules and with the errors of taskqueue.add().",
    short_help="Add a task to a queue.",
    examples=[
        ("gae-broker tasks add mail --url /send --param user=42 --countdown 10m", "a push task, in ten minutes"),
        ("echo '{\"id\": 7}' | gae-broker tasks add inbox --payload-file - --tag eu", "a pull task with a tag"),
    ],
)
@queue_argument
@option("--url", metavar="PATH", help="Path and query; by default /_ah/queue/QUEUE.")
@option(
    "--method",
    type=click.Choice(METHODS, case_sensitive=False),
    metavar="METHOD",
    show_default="PULL in a pull queue, else POST",
    help=f"One of {', '.join(METHODS)}.",
)
@option("--payload", metavar="TEXT", help="The request's body, or the pull task's payload.")
@option("--payload-file", type=click.File("rb"), metavar="FILE", help="The payload from a file; - is standard input.")
@option(
    "--param",
    type=Pair("="),
    metavar="NAME=VALUE",
    multiple=True,
    help="A form field (POST, PULL) or query parameter. May be repeated.",
)
@option(
    "--header", type=Pair(":"), metavar="NAME:VALUE", multiple=True, help="A header of the request. May be repeated."
)
@option("--name", metavar="NAME", show_default="chosen by the queue", help="The task's name, unique in the queue.")
@option("--countdown", type=Time(0, 30 * _DAY_S), metavar="TIME", help="Run it this much later.")
@option("--eta", type=Moment(), metavar="MOMENT", help="Run it not before this moment, in ISO 8601.")
@option("--tag", metavar="TAG", help="The pull task's tag.")
@option("--target", metavar="NAME", help="The target it is sent to.")
@option("--deadline", type=Time(15, _DAY_S), metavar="TIME", help="The handler's time for an attempt.")
@option(
    "--task-retry-limit",
    type=click.IntRange(0),
    metavar="N",
    help="Retries; replaces all of the queue's retry parameters.",
)
@option("--task-age-limit", type=Time(0, 3650 * _DAY_S), metavar="TIME", help="Give up after this time.")
@option("--min-backoff-seconds", type=click.FloatRange(0), metavar="N", help="The first wait before a retry.")
@option("--max-backoff-seconds", type=click.FloatRange(0), metavar="N", help="The longest wait before a retry.")
@option("--max-doublings", type=click.IntRange(0), metavar="N", help="How often the wait doubles.")
@settings_flags()
def add(queue: str, **given: Unpack[Given]) -> None:
    """Add a task."""
    session = current()
    if given["payload"] is not None and given["payload_file"] is not None:
        raise click.UsageError("Give --payload or --payload-file, not both.")
    with opened(session) as runtime:
        method = given["method"]
        if method is None:
            method = "PULL" if runtime.catalog.get(queue).mode is Mode.PULL else "POST"
        task = _task(given, method).add(queue)
        now_us = runtime.clock.now_us()
    eta_us = round(task.eta_posix * 1e6)
    data = {"name": task.name, "queue_name": queue, "method": task.method, "url": task.url, "eta": moment(eta_us)}
    table = Table(("TASK", "QUEUE", "METHOD", "DUE"), [(task.name, queue, task.method, distance(eta_us, now_us))])
    write(session, {"task": data}, table)


def _task(given: Given, method: str) -> taskqueue.Task:
    payload = given["payload_file"].read() if given["payload_file"] is not None else given["payload"]
    return taskqueue.Task(
        payload,
        method=method,
        url=given["url"],
        params=_by_name(given["param"]) or None,
        headers=_by_name(given["header"]) or None,
        name=given["name"],
        countdown=given["countdown"],
        eta=given["eta"],
        tag=given["tag"],
        target=given["target"],
        dispatch_deadline_usec=None if given["deadline"] is None else round(given["deadline"] * 1e6),
        retry_options=_retry_options(given),
    )


def _by_name(pairs: tuple[tuple[str, str], ...]) -> dict[str, object]:
    return {name: [value for other, value in pairs if other == name] for name, _ in pairs}


def _retry_options(given: Given) -> taskqueue.TaskRetryOptions | None:
    if all(given[key] is None for key in _RETRY):  # type: ignore[literal-required]
        return None
    return taskqueue.TaskRetryOptions(
        task_retry_limit=given["task_retry_limit"],
        task_age_limit=given["task_age_limit"],
        min_backoff_seconds=given["min_backoff_seconds"],
        max_backoff_seconds=given["max_backoff_seconds"],
        max_doublings=given["max_doublings"],
    )
