"""``queues pause``, ``resume`` and ``purge``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.confirm import confirm, count
from gae_broker.cli.opened import opened
from gae_broker.cli.queue_argument import queue_argument
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import settings_flags


@click.command(
    cls=Command,
    help="Stop dispatches and leases of a queue, in every process; adding goes on, attempts under way end.",
    short_help="Stop dispatches and leases; adding goes on.",
    examples=[
        ("gae-broker queues pause mail", "hold all mail until it is resumed"),
        ("gae-broker queues pause mail --broker-url embedded:////var/lib/shop/queues.db", "in another store"),
    ],
)
@queue_argument
@settings_flags()
def pause(queue: str) -> None:
    """Pause a queue."""
    session = current()
    with opened(session) as runtime:
        runtime.controller.pause(queue)
    session.tell(f"Queue '{queue}' is paused.")


@click.command(
    cls=Command,
    help="Let dispatches and leases of a paused queue go on.",
    short_help="Let dispatches and leases go on.",
    examples=[
        ("gae-broker queues resume mail", "send what was held"),
        ("gae-broker -q queues resume mail && echo on", "in a script"),
    ],
)
@queue_argument
@settings_flags()
def resume(queue: str) -> None:
    """Resume a queue."""
    session = current()
    with opened(session) as runtime:
        runtime.controller.resume(queue)
        config = runtime.catalog.get(queue)
    session.tell(f"Queue '{queue}' is resumed.")
    if not config.rate_per_s:
        session.warn(f"its rate in queue.yaml is {config.rate_text}: nothing is dispatched from '{queue}'")


@click.command(
    cls=Command,
    help="Remove every task of a queue, delayed and leased ones too. Names stay taken, as after a deletion.",
    short_help="Remove every task of a queue.",
    examples=[
        ("gae-broker queues purge mail", "asks first, and says how many tasks there are"),
        ("gae-broker queues purge mail --yes", "does not ask, as in a script"),
    ],
)
@queue_argument
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@settings_flags()
def purge(queue: str, *, yes: bool) -> None:
    """Purge a queue."""
    session = current()
    with opened(session) as runtime:
        tasks = runtime.statistician.fetch(queue).tasks
        confirm(f"purge {count(tasks, 'task')} of queue '{queue}'", yes=yes)
        runtime.remover.purge(queue)
    session.tell(f"Queue '{queue}' is purged of {count(tasks, 'task')}.")
