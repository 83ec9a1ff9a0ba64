"""Looks at everything that running needs; ``gae-broker check`` and ``/readyz`` print what is found here."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gae_broker import registry
from gae_broker.domain import queue_yaml
from gae_broker.domain.queue import Queue, QueueFile
from gae_broker.domain.setting_values import mask
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.security_checks import security_checks
from gae_broker.errors import ConfigurationError, Error
from gae_broker.ports import Check, CheckStatus, Needs, Role
from gae_broker.settings import Settings

_CONNECT_S = 3.0
_US = 1_000_000
_OUTBOX_LATE_S = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, and whether its failure is the configuration's (``configured``) or a service's."""

    check: Check
    configured: bool = False

    @property
    def failed(self) -> bool:
        """Whether something cannot work as it is."""
        return self.check.status is CheckStatus.FAILED


def examine(settings: Settings, role: Role | None = None) -> Iterator[Finding]:
    """Check queue.yaml, broker, ledger, outbox, targets and signing; opens what it needs, and closes it.

    Args:
        settings: what to check.
        role: what the broker's user must be allowed to do; ``None``: only tell what it may.
    """
    file, checks = _queue_yaml(settings)
    yield from (Finding(check, configured=True) for check in checks)
    queues = list(file.queues.values())
    yield from _broker(settings, Needs(queues, _longest_s(settings, queues), role))
    yield from _ledger(settings)
    if settings.outbox:
        yield _outbox(settings)
    yield from (Finding(_target(name, target)) for name, target in settings.targets.items())
    yield from (Finding(check, configured=True) for check in security_checks(settings))


def _queue_yaml(settings: Settings) -> tuple[QueueFile, list[Check]]:
    name = "queue.yaml"
    if not Path(settings.queue_yaml).exists():
        text = f"no {settings.queue_yaml}: only the queue 'default' exists"
        return QueueFile(), [Check(name, CheckStatus.WARNING, text)]
    try:
        file = queue_yaml.load_path(settings.queue_yaml)
    except ConfigurationError as exc:
        return QueueFile(), [Check(name, CheckStatus.FAILED, str(exc))]
    warnings = [Check(name, CheckStatus.WARNING, warning) for warning in file.warnings]
    text = f"{settings.queue_yaml} has the queues {', '.join(file.queues)}"
    return file, [*warnings, Check(name, CheckStatus.OK, text)]


def _longest_s(settings: Settings, queues: Sequence[Queue]) -> float:
    own = [queue.deadline_us / _US for queue in queues if queue.deadline_us is not None]
    return max([settings.dispatch_deadline_s, *own])


def _broker(settings: Settings, needs: Needs) -> Iterator[Finding]:
    try:
        broker = registry.open_broker(settings.url, clock=SystemClock(), options=settings.broker_options)
        with contextlib.closing(broker):
            yield from map(Finding, broker.check(needs))
    except Error as exc:
        yield _unusable("broker", exc)


def _ledger(settings: Settings) -> Iterator[Finding]:
    try:
        ledger = registry.open_ledger(settings.ledger_url, clock=SystemClock())
        with contextlib.closing(ledger):
            yield from map(Finding, ledger.check())
    except Error as exc:
        yield _unusable("ledger", exc)


def _outbox(settings: Settings) -> Finding:
    try:
        with contextlib.closing(registry.open_outbox(settings.outbox)) as outbox:
            waiting = outbox.waiting()
    except Error as exc:
        return _unusable("outbox", exc)
    late_s = 0.0 if waiting.since_us is None else (SystemClock().now_us() - waiting.since_us) / _US
    if late_s <= _OUTBOX_LATE_S:
        return Finding(Check("outbox", CheckStatus.OK, f"{waiting.tasks} tasks wait in {mask(settings.outbox)}"))
    text = (
        f"{waiting.tasks} tasks wait in {mask(settings.outbox)}, one for {late_s:.0f} s: is `gae-broker relay`, or "
        "`gae-broker dispatch` with this outbox, running, and what do their logs say?"
    )
    return Finding(Check("outbox", CheckStatus.WARNING, text))


def _unusable(name: str, exc: Error) -> Finding:
    return Finding(Check(name, CheckStatus.FAILED, mask(str(exc))), isinstance(exc, ConfigurationError))


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
