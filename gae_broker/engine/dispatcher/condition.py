"""Whether something that the dispatcher needs works; said once for each change."""

from __future__ import annotations

import logging

_log = logging.getLogger("gae_broker.dispatch")


class Condition:
    """Up or down, with one warning when it goes down and one line when it is up again."""

    def __init__(self, name: str, consequence: str) -> None:
        self.is_up = True
        self._name = name
        self._consequence = consequence

    def failed(self, error: Exception) -> None:
        """It failed just now."""
        if self.is_up:
            self.is_up = False
            _log.warning("%s: %s; %s until it works again", self._name, error, self._consequence)

    def worked(self) -> None:
        """It worked just now."""
        if not self.is_up:
            self.is_up = True
            _log.warning("%s: works again", self._name)
