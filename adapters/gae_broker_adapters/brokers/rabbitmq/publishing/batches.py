"""The messages of one call to `publish`, and what became of each.

The calling thread waits for its batch; the connection's thread alone settles messages, so nothing here needs a lock
but the one that the caller waits for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gae_broker.domain.message import Message
from gae_broker.errors import InvalidTaskError
from gae_broker_adapters.brokers.rabbitmq.wire.frames import Cut
from gae_broker_adapters.brokers.rabbitmq.wire.outlet import Outlet

Route = Callable[[Message], tuple[str, str]]
"""The exchange and the routing key of a message, as of now."""
_OPEN = Exception("open")


class Batch:
    """One call's messages.

    Attributes:
        messages: in the caller's order.
        abandoned: the caller waits no more; what is not written yet must not be.
    """

    __slots__ = ("_done", "_left", "_results", "abandoned", "messages")

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.abandoned = False
        self._results: list[Exception | None] = [_OPEN] * len(messages)
        self._left = len(messages)
        self._done = threading.Lock()
        self._done.acquire()

    def settle(self, index: int, error: Exception | None) -> None:
        """Record what became of a message: ``None`` for confirmed. The first word on a message counts."""
        if self._results[index] is _OPEN:
            self._results[index] = error
            self._left -= 1
            if not self._left:
                self._done.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait until each message is settled; whether that came in time."""
        return self._done.acquire(timeout=min(max(timeout_s, 0), threading.TIMEOUT_MAX))

    def answer(self, error: Exception | None = None) -> list[Exception | None]:
        """What became of each message; of those not settled by now, ``error``."""
        return [error if result is _OPEN else result for result in self._results]


@dataclass(slots=True, eq=False)
class Part:
    """Messages of a batch that are to be written, in order.

    Attributes:
        batch: whose they are.
        indices: which of its messages.
        encoded: the messages as an outlet with this ``cut`` writes them; ``None``: not encoded yet.
    """

    batch: Batch
    indices: Sequence[int]
    encoded: Sequence[object] | None = None
    cut: Cut | None = None

    def encode(self, outlet: Outlet, route: Route) -> None:
        """Encode for an outlet, by routes as of now; a message that cannot be encoded is settled and left out."""
        messages = self.batch.messages
        encoded: list[object] = []
        faulty: list[int] = []
        for index in self.indices:
            message = messages[index]
            exchange, key = route(message)
            try:
                encoded.append(outlet.encode(message, exchange, key))
            except ValueError as exc:
                faulty.append(index)
                self.batch.settle(index, InvalidTaskError(f"task {message.key!r} cannot be sent: {exc}"))
        if faulty:
            self.indices = [index for index in self.indices if index not in faulty]
        self.encoded, self.cut = encoded, outlet.cut


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What became of the unconfirmed messages of a channel that the broker closed because of one of them.

    RabbitMQ takes a channel's messages in order, and after the one that it objects to no more of them.

    Attributes:
        unknown: were written before it; they may be stored or not.
        guilty: are refused for the same reason; not stored.
        innocent: came after it; not stored, and to be written again.
    """

    unknown: list[tuple[Batch, int]]
    guilty: list[tuple[Batch, int]]
    innocent: list[tuple[Batch, int]]


def aftermath(unconfirmed: Iterable[tuple[Batch, int]], objectionable: Callable[[Message], bool]) -> Aftermath:
    """Sort unconfirmed messages, given in the order of writing."""
    found = Aftermath([], [], [])
    for batch, index in unconfirmed:
        if objectionable(batch.messages[index]):
            found.guilty.append((batch, index))
        else:
            (found.innocent if found.guilty else found.unknown).append((batch, index))
    return found


def parts(messages: Iterable[tuple[Batch, int]]) -> list[Part]:
    """Messages, not encoded, as parts in the same order."""
    found: list[Part] = []
    indices: list[int] = []
    for batch, index in messages:
        if not found or found[-1].batch is not batch:
            indices = []
            found.append(Part(batch, indices))
        indices.append(index)
    return found
