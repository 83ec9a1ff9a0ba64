"""``manage.py gae_broker``: our command line, with the project's settings."""

from __future__ import annotations

import argparse
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gae_broker.cli import root

_NAME = "manage.py gae_broker"


class Command(BaseCommand):
    """``manage.py gae_broker dispatch``, ``check``, ``deploy`` ...: ``gae-broker``, with its options and exit codes."""

    help = "App Engine's task queues: dispatch, deploy, check, queues, tasks ... with the project's settings."
    requires_system_checks: tuple[str, ...] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command line, and end the process as it ends."""
        own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        own.add_argument("--settings")  # both have had their effect before a command is looked for
        own.add_argument("--pythonpath")
        root.main(own.parse_known_args(argv[2:])[1], prog_name=_NAME)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """What ``manage.py help gae_broker`` shows."""
        root.main(["--help"], prog_name=f"{prog_name} {subcommand}", standalone_mode=False)

    def add_arguments(self, parser: CommandParser) -> None:
        """What ``call_command("gae_broker", "queues", "list")`` takes."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, arguments: list[str], **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Run a command for a caller in this process.

        Raises:
            CommandError: it did not end with 0; ``returncode`` is what it ended with.
        """
        try:
            code = root.main(arguments, prog_name=_NAME, standalone_mode=False)
        except click.ClickException as exc:
            raise CommandError(exc.format_message(), returncode=exc.exit_code) from exc
        if code:
            raise CommandError(f"gae_broker {' '.join(arguments)} ended with {code}", returncode=int(code))
