"""Where a request that an application may trust came from."""

from __future__ import annotations

from enum import Enum

ORIGIN = "gae_broker.origin"
"""The key of an `Origin` in a WSGI environment or an ASGI scope.

No request from outside can put one there: what servers take from requests is text, under other keys.
"""


class Origin(Enum):
    """How it is known that a request is the dispatcher's."""

    IN_PROCESS = "called by the dispatcher's own process"
    SIGNED = "signed"
    LOOPBACK = "unsigned, from this machine, which was said to be enough"
