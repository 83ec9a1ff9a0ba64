"""Which target a task goes to.

A target's name is looked up whole (``v1.api``), then without its version (``api``), then ``default`` is taken: one
deployment behind ``default`` is enough for an application whose tasks name versions and modules.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from gae_broker.domain.setting_values import DEFAULT_TARGET
from gae_broker.engine.targets.target import Target

Spec = TypeVar("Spec", bound=Hashable)


def route(names: Mapping[str, object], wanted: str | None) -> str | None:
    """The name under which a wanted target is found, ``None`` where there is not even a default one."""
    candidates = [DEFAULT_TARGET]
    if wanted:
        candidates = [wanted, wanted.rpartition(".")[2], DEFAULT_TARGET]
    return next((name for name in candidates if name in names), None)


class Targets:
    """All configured targets, by name.

    Args:
        specs: what the settings say, by name; names of which they say the same share a target.
        make: makes a target of what the settings say.
    """

    def __init__(self, specs: Mapping[str, Spec], make: Callable[[Spec], Target]) -> None:
        made = {spec: make(spec) for spec in dict.fromkeys(specs.values())}
        self._targets = {name: made[spec] for name, spec in specs.items()}

    def __iter__(self) -> Iterator[Target]:
        return iter(dict.fromkeys(self._targets.values()))

    @property
    def names(self) -> list[str]:
        """The configured names."""
        return list(self._targets)

    def find(self, wanted: str | None) -> Target | None:
        """The target that tasks for ``wanted`` go to."""
        name = route(self._targets, wanted)
        return None if name is None else self._targets[name]

    async def open(self) -> None:
        """Get all of them ready.

        Raises:
            ConfigurationError: one cannot be; those opened before are closed again.
        """
        try:
            for target in self:
                await target.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Break off what runs, and release everything."""
        for target in self:
            await target.close()


def unknown(wanted: str | None, names: Iterable[str]) -> str:
    """Why an attempt failed whose target is not known."""
    return f"no target {wanted or DEFAULT_TARGET!r} is configured (known: {', '.join(sorted(names)) or 'none'})"
