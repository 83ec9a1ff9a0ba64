"""What the rules about names have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from gae_broker.codemod.plan import Plan
from gae_broker.codemod.reading import Reading


class Rule(ABC):
    """Plans what becomes of one kind of mention of App Engine's modules.

    Args:
        reading: the file.
        plan: where to.
        modules: App Engine's modules that are replaced in this file, and by which of ours.
    """

    def __init__(self, reading: Reading, plan: Plan, modules: Mapping[str, str]) -> None:
        self._reading = reading
        self._plan = plan
        self._modules = modules

    @abstractmethod
    def apply(self) -> None:
        """Plan."""
