"""``gae-broker`` itself: the table of commands."""

from __future__ import annotations

from typing import Any

import click

from gae_broker.cli.command import CONTEXT
from gae_broker.cli.group import LazyGroup

COMMANDS = {
    "dev": ("gae_broker.cli.dev:dev", "Serve an application and run its tasks, in one process."),
    "dispatch": ("gae_broker.cli.dispatch:dispatch", "Send the push queues' tasks to their handlers."),
    "serve": ("gae_broker.cli.serve:serve", "Serve App Engine's REST API for workers that lease from outside."),
    "relay": ("gae_broker.cli.relay:relay", "Enqueue what an application's transactions have committed."),
    "deploy": ("gae_broker.cli.deploy:deploy", "Make the queues of a queue.yaml, and the ledger's tables."),
    "queues": ("gae_broker.cli.queues:queues", "List, describe, pause, resume and purge queues."),
    "tasks": ("gae_broker.cli.tasks:tasks", "Add, list, describe, lease, delete, run and redrive tasks."),
    "topology": ("gae_broker.cli.topology:topology", "Export RabbitMQ's exchanges and queues as definitions."),
    "migrate": ("gae_broker.cli.migrate:migrate", "Make App Engine's names in a program's source ours."),
    "check": ("gae_broker.cli.check:check", "Check settings, queue.yaml, broker, ledger and targets."),
    "config": ("gae_broker.cli.config:config", "Show the settings, and where each comes from."),
    "adapters": ("gae_broker.cli.adapters:adapters", "List the brokers, ledgers and outboxes there are."),
    "completion": ("gae_broker.cli.completion:completion", "Print a shell's completion script."),
}
_TEXT = """App Engine's task queues: push, pull and deferred, with the same queue.yaml.

Starts without any configuration: 'gae-broker dev --app module:app' serves an application and runs its tasks.
"""


def _version(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401, ARG001 - click's own
    if value and not ctx.resilient_parsing:
        from gae_broker.cli.version import version_text  # noqa: PLC0415 - --help must be quick, this need not

        click.echo(version_text())
        ctx.exit()


root = LazyGroup(
    name="gae-broker",
    help=_TEXT,
    lazy=COMMANDS,
    context_settings=CONTEXT,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the versions of this, of Python and of what it stands on.",
        )
    ],
)
