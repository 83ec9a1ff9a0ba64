"""``gae-broker check``: looks at everything that running needs, one line each."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click

from gae_broker import registry
from gae_broker.cli.command import Command, describe
from gae_broker.cli.exit_codes import ExitCode, exit_code
from gae_broker.cli.output import Table, write
from gae_broker.cli.session import Session, current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.domain import queue_yaml
from gae_broker.domain.queue import QueueFile
from gae_broker.domain.setting_values import mask
from gae_broker.engine.runtime import SystemClock
from gae_broker.errors import ConfigurationError, Error
from gae_broker.ports import Broker, Check, CheckStatus, Ledger
from gae_broker.settings import Settings, unknown_variables

_CONNECT_S = 3.0


@click.command(
    cls=Command,
    help="Check settings, queue.yaml, broker, ledger and targets, and print a line for each. Ends with 0 where nothing "
    "failed, with 4 where settings or queue.yaml are wrong, with 3 where broker or ledger cannot be used.",
    short_help="Check settings, queue.yaml, broker, ledger and targets.",
    examples=[
        ("gae-broker check", "before a deployment"),
        ("gae-broker check --format json -q", "in a container's health check"),
    ],
)
@settings_flags("targets")
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check everything."""
    session = current()
    checks: list[Check] = []
    code = ExitCode.OK
    for found, failure in _checks(session):
        checks.append(found)
        code = max(code, failure if found.status is CheckStatus.FAILED else ExitCode.OK)
    rows = [(item.status.value, item.name, item.text) for item in checks]
    data = {
        "ok": code is ExitCode.OK,
        "checks": [{"name": item.name, "status": item.status.value, "text": item.text} for item in checks],
    }
    write(session, data, Table(("STATUS", "CHECK", "FOUND"), rows))
    ctx.exit(code)


def _checks(session: Session) -> Iterator[tuple[Check, ExitCode]]:
    """Each check, and the code that its failure ends with."""
    try:
        settings = load_settings(session)
    except ConfigurationError as exc:
        yield Check("settings", CheckStatus.FAILED, describe(exc)), ExitCode.CONFIGURATION
        return
    for text in unknown_variables(os.environ):
        yield Check("settings", CheckStatus.WARNING, text), ExitCode.OK
    yield Check("settings", CheckStatus.OK, "every value can be used"), ExitCode.OK
    for item in _queue_yaml(settings):
        yield item, ExitCode.CONFIGURATION
    yield from _adapter("broker", settings)
    yield from _adapter("ledger", settings)
    for name, target in settings.targets.items():
        yield _target(name, target), ExitCode.UNAVAILABLE


def _queue_yaml(settings: Settings) -> Iterator[Check]:
    name = "queue.yaml"
    if not Path(settings.queue_yaml).exists():
        yield Check(name, CheckStatus.WARNING, f"no {settings.queue_yaml}: only the queue 'default' exists")
        return
    try:
        file: QueueFile = queue_yaml.load_path(settings.queue_yaml)
    except ConfigurationError as exc:
        yield Check(name, CheckStatus.FAILED, str(exc))
        return
    for warning in file.warnings:
        yield Check(name, CheckStatus.WARNING, warning)
    yield Check(name, CheckStatus.OK, f"{settings.queue_yaml} has the queues {', '.join(file.queues)}")


def _adapter(role: str, settings: Settings) -> Iterator[tuple[Check, ExitCode]]:
    try:
        clock = SystemClock()
        opened: Broker | Ledger
        if role == "broker":
            opened = registry.open_broker(settings.url, clock=clock, options=settings.broker_options)
        else:
            opened = registry.open_ledger(settings.ledger_url, clock=clock)
        with contextlib.closing(opened) as adapter:
            for item in adapter.check():
                yield item, ExitCode.UNAVAILABLE
    except Error as exc:
        yield Check(role, CheckStatus.FAILED, describe(exc)), exit_code(exc)


def _target(name: str, target: str) -> Check:
    """Whether something listens; an application in process is not imported, which may have any effect."""
    label = f"target {name}"
    if "://" not in target:
        return Check(label, CheckStatus.OK, f"{target} will be imported by the dispatcher")
    parts = urlsplit(target)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S):
            return Check(label, CheckStatus.OK, f"{mask(target)} accepts connections")
    except OSError as exc:
        text = f"{mask(target)} does not accept connections ({exc.strerror or exc}); its tasks will be retried"
        return Check(label, CheckStatus.WARNING, text)
