"""``gae-broker dev``."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.embedded_store import empty
from gae_broker.cli.opened import opened
from gae_broker.cli.session import Session, current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.cli.signals import run_until_signalled
from gae_broker.domain.queue import Mode
from gae_broker.domain.setting_values import DEFAULT_TARGET
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.targets.applications import Application
from gae_broker.web.attempt_lines import AttemptLines
from gae_broker.web.development import Development
from gae_broker.web.finding import find_application
from gae_broker.web.server import LOOPBACK, listen


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
    session = current()
    if queues is not None:
        session.flags["queue_yaml"] = queues
    settings = load_settings(session)
    app = app or settings.targets.get(DEFAULT_TARGET)
    if app is None:
        raise click.UsageError("Name the application: --app module:app, or --app http://localhost:8000.")
    if reset:
        empty(session, settings)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does; the application is imported from here
    with contextlib.ExitStack() as stack:
        sock = None if "://" in app else stack.enter_context(listen(port))
        if sock is not None:
            os.environ.setdefault("DEFAULT_VERSION_HOSTNAME", f"localhost:{sock.getsockname()[1]}")
        runtime = stack.enter_context(opened(session))
        found = None if sock is None else find_application(app)
        _run(session, runtime, app, found, sock)


def _run(session: Session, runtime: Runtime, app: str, found: Application | None, sock: socket.socket | None) -> None:
    lines = AttemptLines(
        _print, runtime.clock.now_us, color=session.color(sys.stdout), as_json=session.format == "json"
    )
    development = Development(runtime, lines, session.tell, found=found, sock=sock, target=app)

    async def begin() -> None:
        await development.run(lambda: _greet(session, runtime, app, sock))

    run_until_signalled(session, begin, development.stop, runtime.settings.drain_timeout_s)


def _greet(session: Session, runtime: Runtime, app: str, sock: socket.socket | None) -> None:
    where = "" if sock is None else f" on http://{LOOPBACK}:{sock.getsockname()[1]}"
    session.tell(f"{app}{where}, tasks in {runtime.settings.show('url')}")
    shown = [
        f"{queue.name} ({queue.rate_text if queue.mode is Mode.PUSH else 'pull'})" for queue in runtime.catalog.queues()
    ]
    session.tell(f"queues: {', '.join(shown)}; Ctrl-C ends")


def _print(line: str) -> None:
    click.echo(line)
