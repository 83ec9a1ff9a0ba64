"""``gae-broker serve``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import load_settings, settings_flags


@click.command(
    cls=Command,
    help="Serve App Engine's REST API of pull queues (v1beta2), until SIGTERM or Ctrl-C: workers elsewhere lease, "
    "insert and delete tasks over HTTP. Each shows a token, and may do what the queue's acl in queue.yaml says; on "
    "loopback, while no token is set, every program of this machine may do anything.",
    short_help="Serve App Engine's REST API for workers that lease from outside.",
    examples=[
        ("gae-broker serve", "for programs of this machine, at http://127.0.0.1:8090/"),
        ("GAE_BROKER_SERVE_TOKENS_FILE=/run/secrets/tokens gae-broker serve --bind 0.0.0.0:8090", "for others too"),
    ],
    serves=True,
)
@settings_flags("serve_bind", "drain_timeout_s")
def serve() -> None:
    """Serve the REST API."""
    # What the command stands on takes several times as long to import as its help takes to show.
    from gae_broker.cli.serving import run  # noqa: PLC0415

    session = current()
    run(session, load_settings(session))
