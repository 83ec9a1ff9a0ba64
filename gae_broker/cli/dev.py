"""``gae-broker dev``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.embedded_store import empty
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.domain.setting_values import DEFAULT_TARGET


@click.command(
    cls=Command,
    help="Serve a WSGI or ASGI application on loopback and run the tasks of its queues, in one process, without "
    "RabbitMQ. queue.yaml is read again when it changes. Each attempt prints a line. Ctrl-C ends it.",
    short_help="Serve an application and run its tasks, in one process.",
    examples=[
        ("gae-broker dev --app shop:app", "shop.py in this directory, on http://localhost:8080"),
        ("gae-broker dev --app http://localhost:8000 --reset", "only the tasks of an application that runs there"),
    ],
    serves=True,
)
@option("--app", metavar="MODULE:APP|URL", show_default="the target 'default'", help="The application.")
@option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=8080, help="Where to serve it; 0 takes any free port."
)
@option("--queues", metavar="FILE", help="The same as --queue-yaml.")
@option("--reset", is_flag=True, help="Begin with an empty store: every task and every taken name is forgotten.")
@settings_flags("targets", "drain_timeout_s", "dispatch_deadline_s")
def dev(app: str | None, port: int, queues: str | None, *, reset: bool) -> None:
    """Run the development server."""
    # What it stands on takes several times as long to import as the help takes to show.
    from gae_broker.cli.dev_server import serve  # noqa: PLC0415

    session = current()
    if queues is not None:
        session.flags["queue_yaml"] = queues
    settings = load_settings(session)
    app = app or settings.targets.get(DEFAULT_TARGET)
    if app is None:
        raise click.UsageError("Name the application: --app module:app, or --app http://localhost:8000.")
    if reset:
        empty(session, settings)
    serve(session, app, port)
