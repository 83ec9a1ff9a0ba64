"""What a relay needs of the database in which an application's transactions leave their tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gae_broker.domain.message import Message
from gae_broker.domain.task import LargePayload

Place = int | str
"""A row's key."""

_ROWS = 100
_SIZE = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A task in an outbox.

    Attributes:
        place: the row's key.
        message: the task, as `gae_broker.domain.wire` writes it.
        large: what is to be in the ledger before the task is in its queue; ``None``: nothing.
    """

    place: Place
    message: Message
    large: LargePayload | None = None


@dataclass(frozen=True, slots=True)
class RowClaim:
    """A relay's wish for the first rows of a queue, for a while.

    Attributes:
        token: who has them; no other claim's.
        now_us: claims that ended before then are void.
        until_us: when this one ends.
        rows: at most so many.
        size: no more rows than have so many bytes of payload together, but one at least.
    """

    token: str
    now_us: int
    until_us: int
    rows: int = _ROWS
    size: int = _SIZE


@dataclass(frozen=True, slots=True)
class ClaimedRows:
    """What a claim brought: rows, in order; without any, whether there are some that another relay holds."""

    rows: Sequence[OutboxRow] = ()
    held: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many tasks are in an outbox, and when the first of them was added (``None``: there is none)."""

    tasks: int
    since_us: int | None


class Outbox(Protocol):
    """The tasks that committed transactions left in one database; any number of relays use it at once.

    1. Only what is committed is seen, and it stays until it is forgotten.
    2. Rows of one queue have an order: within a transaction that of adding, and a row added after another's commit
       comes after it.
    3. A method returns when what it did is committed; `OutboxUnavailableError` where the database did not do its part.
    """

    def queues(self) -> Sequence[str]:
        """The queues that there are tasks for."""

    def waiting(self) -> Waiting:
        """What there is, claimed or not."""

    def claim(self, queue: str, claim: RowClaim) -> ClaimedRows:
        """Claim the first rows of a queue.

        4. None are claimed while another claim holds on any of them, or on one before them.
        5. It does not wait for a claim under way elsewhere, where the database can tell of one without waiting.
        """

    def forget(self, token: str, places: Sequence[Place]) -> None:
        """Remove those of these rows that the token's claim is still on; their tasks are enqueued."""

    def release(self, token: str, places: Sequence[Place]) -> None:
        """End the token's claim on these rows; they stay where they are."""

    def close(self) -> None:
        """Release what was opened with it. Idempotent."""
