"""Makes targets of what the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gae_broker.domain.queue import DEFAULT_MAX_CONCURRENT
from gae_broker.domain.setting_values import Processes
from gae_broker.engine.targets.applications import is_application
from gae_broker.engine.targets.http import HttpTarget
from gae_broker.engine.targets.local import LocalTarget
from gae_broker.engine.targets.pool import PoolTarget
from gae_broker.engine.targets.routing import Targets
from gae_broker.engine.targets.target import Target
from gae_broker.ports import Clock


def make_targets(specs: Mapping[str, str], processes: Processes, threads: int, clock: Clock) -> Targets:
    """All targets; none of them is open yet."""
    return Targets(specs, partial(_make, processes=processes, threads=threads, clock=clock))


def _make(spec: str, *, processes: Processes, threads: int, clock: Clock) -> Target:
    if not is_application(spec):
        return HttpTarget(spec, DEFAULT_MAX_CONCURRENT, clock)
    if processes.most > 1:
        return PoolTarget(spec, processes, threads, clock)
    return LocalTarget(spec, threads, clock)
