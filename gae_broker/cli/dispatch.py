"""``gae-broker dispatch``."""

from __future__ import annotations

import os
import sys

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.domain.setting_values import DEFAULT_TARGET
from gae_broker.errors import SettingsError
from gae_broker.settings import flag, variable


@click.command(
    cls=Command,
    help="Send the tasks of push queues to their handlers, at each queue's rate, until SIGTERM or Ctrl-C: then no more "
    "tasks are taken, and attempts under way may finish. Several may run; each queue is served by one at a time.",
    short_help="Send the push queues' tasks to their handlers.",
    examples=[
        ("gae-broker dispatch --target http://localhost:8000", "to an application that is served there"),
        ("gae-broker dispatch --queues mail,default --target shop:app --processes 1-8", "in processes of its own"),
    ],
    serves=True,
)
@option("--queues", metavar="NAME,...", show_default="every push queue", help="Serve only these queues.")
@settings_flags("targets", "processes", "threads", "drain_timeout_s", "dispatch_deadline_s", "probe_bind", "outbox")
def dispatch(queues: str | None) -> None:
    """Dispatch."""
    # What the command stands on takes several times as long to import as its help takes to show.
    from gae_broker.cli.dispatching import run  # noqa: PLC0415

    session = current()
    settings = load_settings(session)
    if not settings.targets:
        raise SettingsError(
            f"targets: none is set, so no task could be sent anywhere; give {flag('targets')} http://localhost:8000 "
            f"or {flag('targets')} module:app, or set {variable('targets')}"
        )
    if DEFAULT_TARGET not in settings.targets:
        session.warn(
            f"there is no target '{DEFAULT_TARGET}': tasks that name none of {', '.join(settings.targets)} fail"
        )
    names = [name.strip() for name in queues.split(",") if name.strip()] if queues is not None else None
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does; applications are imported from here
    run(session, settings, names)
