"""What can be set of a broker beside its URL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Declaring(StrEnum):
    """What a process does about its queues when it opens a broker."""

    DECLARE = "declare"
    """Make those that are missing."""
    VERIFY = "verify"
    """Make nothing, and refuse to start where one is missing: for users without the permission to declare."""


class Delays(StrEnum):
    """What carries a message until it is due."""

    WHEEL = "wheel"
    """Replicated queues; every release of the broker has them."""
    PLUGIN = "plugin"
    """The x-delayed-message plugin that an operator runs already; never chosen without being asked for."""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What a broker adapter is told beside its URL; an adapter ignores what does not concern it.

    Attributes:
        prefix: first part of the names of all objects that the adapter makes on a server.
        declaring: whether queues may be made.
        delays: what carries delayed messages.
        management: URL of the server's management API, credentials included; empty: derived from the broker's.
    """

    prefix: str = "gaetq"
    declaring: Declaring = Declaring.DECLARE
    delays: Delays = Delays.WHEEL
    management: str = ""
