"""``gae-broker relay``."""

from __future__ import annotations

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.session import current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.errors import SettingsError
from gae_broker.settings import flag, variable


@click.command(
    cls=Command,
    help="Enqueue the tasks that an application's transactions have committed to its own database, until SIGTERM or "
    "Ctrl-C. The application does so itself right after each commit; this takes care of what it could not, because it "
    "crashed or the broker was away. Several may run. 'gae-broker dispatch' does the same where an outbox is set.",
    short_help="Enqueue what an application's transactions have committed.",
    examples=[
        ("gae-broker relay --outbox postgresql://app@db/shop", "for good"),
        ("gae-broker relay --outbox sqlite:///shop.db --once", "what is there now, as from cron"),
    ],
    serves=True,
)
@option("--once", is_flag=True, help="Enqueue what is there now, then end: with 0 where nothing is left.")
@settings_flags("outbox")
def relay(*, once: bool) -> None:
    """Relay."""
    from gae_broker.cli.relaying import relay_once, run  # noqa: PLC0415 - --help must be quick

    session = current()
    settings = load_settings(session)
    if not settings.outbox:
        raise SettingsError(
            f"outbox: none is set; give {flag('outbox')} postgresql://..., or set {variable('outbox')}, "
            "to the database that the application commits its tasks to"
        )
    if once:
        relay_once(session, settings)
    else:
        run(session, settings)
