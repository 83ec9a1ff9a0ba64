"""What Google's library knows of the request under way, for the Tasks that are made in it."""

from __future__ import annotations

import sys
from typing import Any

from gae_broker.taskqueue.surroundings import ProcessSurroundings

_NAMESPACES = "google.appengine.api.namespace_manager"
_CONTEXT = "google.appengine.runtime.context"


class GoogleSurroundings(ProcessSurroundings):
    """As our own, and what Google's ``namespace_manager`` and request context say, where the program imported them."""

    def variable(self, name: str) -> str | None:
        """A variable of the request being served, or of the process."""
        found = super().variable(name)
        context: Any = sys.modules.get(_CONTEXT)
        if found is not None or context is None:
            return found
        value = context.get(name, None)
        return value if isinstance(value, str) else None

    def namespace(self) -> str:
        """The namespace that Google's library is in, else as our own."""
        manager: Any = sys.modules.get(_NAMESPACES)
        return (str(manager.get_namespace() or "") if manager is not None else "") or super().namespace()
