"""``gae-broker adapters``."""

from __future__ import annotations

import dataclasses

import click

from gae_broker import registry
from gae_broker.cli.command import Command
from gae_broker.cli.output import Table, write
from gae_broker.cli.session import current


@click.command(
    cls=Command,
    help="List the brokers, ledgers and outboxes that GAE_BROKER_URL, _LEDGER and _OUTBOX can choose, by URL schemes.",
    short_help="List the brokers, ledgers and outboxes there are.",
    examples=[
        ("gae-broker adapters", "what is installed"),
        ("gae-broker adapters --format json", "the same for a program"),
    ],
)
def adapters() -> None:
    """List adapters."""
    found = registry.adapters()
    rows = [(item.role, f"{item.scheme}://", item.reference, item.origin) for item in found]
    data = {"adapters": [dataclasses.asdict(item) for item in found]}
    write(current(), data, Table(("ROLE", "URL", "OPENED BY", "FROM"), rows))
