"""``gae-broker topology``: what an administrator of RabbitMQ needs of us."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.group import group
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.errors import SettingsError

topology = group(
    "topology",
    "Export RabbitMQ's exchanges and queues as definitions.",
    {"export": ("gae_broker.cli.topology:export", "Write a definitions file for RabbitMQ to import.")},
)


@click.command(
    cls=Command,
    help="Write everything that the queues of queue.yaml need of RabbitMQ, as the definitions file that it imports: "
    "for brokers where the application may not declare. No broker is asked; the virtual host is that of the broker's "
    "URL. Then start processes with GAE_BROKER_DECLARING=verify.",
    short_help="Write a definitions file for RabbitMQ to import.",
    examples=[
        (
            "gae-broker topology export -o definitions.json && rabbitmqctl import_definitions definitions.json",
            "all of it",
        ),
        ("gae-broker topology export --rabbitmq-version 3.10", "for an older server"),
    ],
)
@option("--output", "-o", metavar="FILE", help="Where to write.", show_default="standard output")
@option("--rabbitmq-version", metavar="VERSION", default="4.3", help="The server's version: older ones know less.")
@settings_flags("prefix")
def export(output: str | None, rabbitmq_version: str) -> None:
    """Export."""
    from gae_broker import registry  # noqa: PLC0415 - --help must be quick
    from gae_broker.engine.catalog import Catalog  # noqa: PLC0415
    from gae_broker.engine.runtime import SystemClock  # noqa: PLC0415
    from gae_broker.ports import Exporter  # noqa: PLC0415

    session = current()
    settings = load_settings(session)
    queues = Catalog(settings.queue_yaml).queues()
    opened = registry.open_broker(settings.url, clock=SystemClock(), options=settings.broker_options)
    with contextlib.closing(opened) as broker:
        if not isinstance(broker, Exporter):
            raise SettingsError(f"url: {settings.show('url')} has no topology; set it to the amqp:// URL of RabbitMQ")
        text = json.dumps(broker.definitions(queues, rabbitmq_version), indent=2)
    if output is None:
        click.echo(text)
        return
    Path(output).write_text(text + "\n", encoding="utf-8")
    session.tell(f"{output}: {', '.join(queue.name for queue in queues)}")
