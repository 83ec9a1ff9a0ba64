"""``gae-broker check``: looks at everything that running needs, one line each."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from gae_broker.cli.command import Command, describe, option
from gae_broker.cli.exit_codes import ExitCode
from gae_broker.cli.output import Table, write
from gae_broker.cli.session import Session, current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.errors import ConfigurationError
from gae_broker.ports import Check, CheckStatus, Role
from gae_broker.settings import unknown_variables


@click.command(
    cls=Command,
    help="Check settings, queue.yaml, broker, ledger and targets, and print a line for each. Ends with 0 where nothing "
    "failed, with 4 where settings or queue.yaml are wrong, with 3 where broker or ledger cannot be used.",
    short_help="Check settings, queue.yaml, broker, ledger and targets.",
    examples=[
        ("gae-broker check --role worker", "whether RabbitMQ lets this user dispatch and lease"),
        ("gae-broker check --format json -q", "in a container's health check"),
    ],
)
@option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="Fail unless the broker's user may do what this role does.",
)
@settings_flags("targets")
@click.pass_context
def check(ctx: click.Context, role: str | None) -> None:
    """Check everything."""
    session = current()
    checks: list[Check] = []
    code = ExitCode.OK
    for found, failure in _checks(session, role):
        checks.append(found)
        code = max(code, failure if found.status is CheckStatus.FAILED else ExitCode.OK)
    rows = [(item.status.value, item.name, item.text) for item in checks]
    data = {
        "ok": code is ExitCode.OK,
        "checks": [{"name": item.name, "status": item.status.value, "text": item.text} for item in checks],
    }
    write(session, data, Table(("STATUS", "CHECK", "FOUND"), rows))
    ctx.exit(code)


def _checks(session: Session, role: str | None) -> Iterator[tuple[Check, ExitCode]]:
    """Each check, and the code that its failure ends with."""
    from gae_broker.engine import checking  # noqa: PLC0415 - --help must be quick

    try:
        settings = load_settings(session)
    except ConfigurationError as exc:
        yield Check("settings", CheckStatus.FAILED, describe(exc)), ExitCode.CONFIGURATION
        return
    for text in unknown_variables(os.environ):
        yield Check("settings", CheckStatus.WARNING, text), ExitCode.OK
    yield Check("settings", CheckStatus.OK, "every value can be used"), ExitCode.OK
    for finding in checking.examine(settings, Role(role) if role else None):
        yield finding.check, ExitCode.CONFIGURATION if finding.configured else ExitCode.UNAVAILABLE
