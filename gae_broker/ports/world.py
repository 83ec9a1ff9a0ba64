"""What both adapters and the engine need: the time, and the results of checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Clock(Protocol):
    """Where the engine's time comes from."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""


class CheckStatus(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One checked thing, as ``gae-broker check`` and ``/readyz`` print it."""

    name: str
    status: CheckStatus
    text: str
