"""``gae-broker config``."""

from __future__ import annotations

import os

import click

from gae_broker.cli.command import Command
from gae_broker.cli.group import group
from gae_broker.cli.output import Table, write
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.settings import OPTIONS, key, unknown_variables, variable

config = group(
    "config",
    "Show the settings, and where each comes from.",
    {"show": ("gae_broker.cli.config:show", "Show every setting, its value and its source.")},
)


@click.command(
    cls=Command,
    help="Show every setting, its value and its source: flag, variable, file or default. Passwords are masked.",
    short_help="Show every setting, its value and its source.",
    examples=[
        ("gae-broker config show", "what is in force here"),
        ("GAE_BROKER_PREFIX=eu gae-broker config show --format json", "the same for a program"),
    ],
)
@settings_flags(*OPTIONS)
def show() -> None:
    """Show settings."""
    session = current()
    settings = load_settings(session)
    for text in unknown_variables(os.environ):
        session.warn(text)
    found = {
        key(name): {"value": settings.show(name), "source": settings.source(name), "variable": variable(name)}
        for name in OPTIONS
    }
    rows = [(name, item["value"], item["source"], item["variable"]) for name, item in found.items()]
    write(session, {"settings": found}, Table(("SETTING", "VALUE", "SOURCE", "VARIABLE"), rows))
