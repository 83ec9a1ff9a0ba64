"""What was written to a channel and is not confirmed yet.

RabbitMQ numbers a channel's messages as they come and confirms by number, one or all up to one. A message that it
cannot route it returns first, and confirms then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gae_broker.errors import PublishRejectedError, UnknownQueueError
from gae_broker_adapters.brokers.rabbitmq.publishing.batches import Batch


class Unconfirmed:
    """The messages on one channel.

    `add`, `only`, `tags` and `take` are called by whoever holds the outlet's gate, the rest in the connection's thread.
    """

    def __init__(self) -> None:
        self._written: dict[int, tuple[Batch, int]] = {}
        self._returned: Counter[str] = Counter()
        self._next_tag = 1

    def add(self, batch: Batch, indices: Sequence[int]) -> None:
        """Messages that are being written now, in this order."""
        tag = self._next_tag
        written = self._written
        for index in indices:
            written[tag] = batch, index
            tag += 1
        self._next_tag = tag

    def only(self, batch: Batch) -> bool:
        """Whether there are no messages of other batches, as far as the first one tells."""
        first = next(iter(self._written.values()), None)
        return first is None or first[0] is batch

    def returned(self, copy_id: str) -> None:
        """RabbitMQ could not route a message; its confirm follows."""
        self._returned[copy_id] += 1

    def tags(self, tag: int, *, multiple: bool) -> list[int]:
        """The numbers that a confirm is for."""
        if not multiple:
            return [tag]
        found = []
        for one in self._written:  # in the order of writing
            if one > tag:
                break
            found.append(one)
        return found

    def confirm(self, tags: list[int], *, refused: bool) -> None:
        """Settle messages: ``refused`` by ``basic.nack``, else confirmed."""
        written = self._written
        for tag in tags:
            entry = written.pop(tag, None)
            if entry is not None:
                batch, index = entry
                batch.settle(index, self._verdict(batch, index, refused=refused) if refused or self._returned else None)

    def take(self) -> list[tuple[Batch, int]]:
        """All of them, in the order of writing; the channel is gone, another one begins."""
        taken = list(self._written.values())
        self._written.clear()
        self._returned.clear()
        self._next_tag = 1
        return taken

    def _verdict(self, batch: Batch, index: int, *, refused: bool) -> Exception | None:
        message = batch.messages[index]
        if self._returned[message.copy_id] > 0:
            self._returned[message.copy_id] -= 1
            self._returned += Counter()  # drops what is at zero
            return UnknownQueueError(
                f"RabbitMQ has no {message.kind} queue {message.queue!r} (or not all of what delays its tasks): "
                "run `gae-broker deploy queue.yaml`",
            )
        if refused:
            return PublishRejectedError(
                f"RabbitMQ refused task {message.key!r} for {message.kind} queue {message.queue!r} (basic.nack): is a "
                "length limit set on the queue by a policy, or did it fail? See RabbitMQ's log",
            )
        return None
