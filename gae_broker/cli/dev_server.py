"""Runs ``gae-broker dev``; apart from its options, whose help need not wait for all of this to be imported."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

import click

from gae_broker.cli.opened import opened
from gae_broker.cli.session import Session
from gae_broker.cli.signals import die_of, run_until_signalled
from gae_broker.domain.queue import Mode
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.targets.applications import Application
from gae_broker.web.attempt_lines import AttemptLines
from gae_broker.web.development import Development
from gae_broker.web.finding import find_application
from gae_broker.web.server import LOOPBACK, listen


def serve(session: Session, app: str, port: int) -> None:
    """Serve an application and run its tasks until a signal comes, then die of it.

    Args:
        session: the command's.
        app: ``module:app``, or the base URL of an application that is served elsewhere.
        port: where to serve it on loopback; 0 takes any free port.

    Raises:
        Error: the port, the queues or the application cannot be had.
    """
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does; the application is imported from here
    with contextlib.ExitStack() as stack:
        sock = None if "://" in app else stack.enter_context(listen(port))
        if sock is not None:
            os.environ.setdefault("DEFAULT_VERSION_HOSTNAME", f"localhost:{sock.getsockname()[1]}")
        runtime = stack.enter_context(opened(session))
        found = None if sock is None else find_application(app)
        received = _run(session, runtime, app, found, sock)
    die_of(received)  # not before all is closed: a file that nobody has open is whole without its -wal


def _run(
    session: Session, runtime: Runtime, app: str, found: Application | None, sock: socket.socket | None
) -> signal.Signals | None:
    lines = AttemptLines(
        _print, runtime.clock.now_us, color=session.color(sys.stdout), as_json=session.format == "json"
    )
    development = Development(runtime, lines, session.tell, found=found, sock=sock, target=app)

    async def begin() -> None:
        await development.run(lambda: _greet(session, runtime, app, sock))

    return run_until_signalled(session, begin, development.stop, runtime.settings.drain_timeout_s)


def _greet(session: Session, runtime: Runtime, app: str, sock: socket.socket | None) -> None:
    where = "" if sock is None else f" on http://{LOOPBACK}:{sock.getsockname()[1]}"
    session.tell(f"{app}{where}, tasks in {runtime.settings.show('url')}")
    shown = [
        f"{queue.name} ({queue.rate_text if queue.mode is Mode.PUSH else 'pull'})" for queue in runtime.catalog.queues()
    ]
    session.tell(f"queues: {', '.join(shown)}; Ctrl-C ends")


def _print(line: str) -> None:
    click.echo(line)
