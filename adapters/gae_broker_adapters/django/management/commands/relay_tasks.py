"""``manage.py relay_tasks``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gae_broker.cli import root


class Command(BaseCommand):
    """Enqueues what transactions have committed; see `gae_broker_adapters.django.outbox`."""

    help = "Enqueue the tasks that transactions have committed to a database, until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Its options."""
        parser.add_argument("--database", default="default", help="The database's alias.")
        parser.add_argument("--once", action="store_true", help="Enqueue what is there now, then end.")

    def handle(self, *_: Any, database: str, once: bool, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's
        """Relay.

        Raises:
            CommandError: it could not; ``returncode`` is as of ``gae-broker relay``.
        """
        words = ["relay", "--outbox", f"django://{database}", *(["--once"] if once else [])]
        code = root.main(words, prog_name="manage.py", standalone_mode=False)
        if code:
            raise CommandError("relaying failed; why, was said above", returncode=int(code))
