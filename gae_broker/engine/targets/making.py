"""Makes targets of what the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from gae_broker.domain.queue import DEFAULT_MAX_CONCURRENT
from gae_broker.domain.security_settings import Authorization
from gae_broker.domain.setting_values import Processes
from gae_broker.engine.signing import Signer
from gae_broker.engine.targets.applications import is_application
from gae_broker.engine.targets.authorizing import Authorizer, check_hooks
from gae_broker.engine.targets.http import HttpTarget
from gae_broker.engine.targets.local import LocalTarget
from gae_broker.engine.targets.pool import PoolTarget
from gae_broker.engine.targets.routing import Targets
from gae_broker.engine.targets.signed import SignedTarget
from gae_broker.engine.targets.target import Target
from gae_broker.ports import Clock
from gae_broker.settings import Settings


@dataclass(frozen=True, slots=True)
class _Spec:
    """What tells targets apart: two names of the same one share its connections."""

    where: str
    authorization: Authorization | None


def make_targets(settings: Settings, processes: Processes, threads: int, clock: Clock) -> Targets:
    """All targets; none of them is open yet.

    Raises:
        ConfigurationError: an authorization hook cannot be imported, or is for no target.
    """
    check_hooks(settings.authorization, settings.targets)
    signer = Signer(settings.signing_keys, clock) if settings.signing_keys else None

    def make(spec: _Spec) -> Target:
        target = _make(spec, processes, threads, clock)
        base_path = urlsplit(spec.where).path if "://" in spec.where else ""
        return target if signer is None else SignedTarget(target, signer, base_path.rstrip("/"))

    return Targets(
        {name: _Spec(spec, settings.authorization.get(name)) for name, spec in settings.targets.items()}, make
    )


def _make(spec: _Spec, processes: Processes, threads: int, clock: Clock) -> Target:
    if not is_application(spec.where):
        authorizer = Authorizer(spec.where, spec.authorization) if spec.authorization else None
        return HttpTarget(spec.where, DEFAULT_MAX_CONCURRENT, clock, authorizer)
    if processes.most > 1:
        return PoolTarget(spec.where, processes, threads, clock)
    return LocalTarget(spec.where, threads, clock)
