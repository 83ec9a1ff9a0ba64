"""Deliveries as RabbitMQ hands them out, and how they are settled: on the channel they came by, each once.

RabbitMQ closes a channel on which something is acked that it does not hold there any more, and so gives back all that
the channel holds. So each `Hand` knows what its channel holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import pika
from pika.channel import Channel

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import StorageError
from gae_broker.ports import Delivery
from gae_broker_adapters.brokers.rabbitmq.wire import envelope, versions
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Content, Inlet

Method: TypeAlias = pika.spec.Basic.Deliver | pika.spec.Basic.GetOk
_NOTHING = Message("", Kind.DEAD, "", "", 0, "", b"")
_FORGIVING = (4, 3)
"""From this version on a returned message is not counted as one whose worker ended."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery's hand and its tag there."""

    hand: Hand
    tag: int


class Hand:
    """What one channel has delivered and is not settled. Lives in the session's thread but for `is_open`.

    Attributes:
        counts_returns: whether the broker counts a returned message as one whose worker ended.
        since_mark: how much is held of what was delivered after `mark`.
    """

    def __init__(self, kind: Kind, queue: str, channel: Channel) -> None:
        # Nobody runs a dead letter, so that its returns are counted does not matter; and whoever looks for some of
        # them may hold all of them, for which their contents need not be kept here too.
        self._is_for_looking = kind is Kind.DEAD
        self.counts_returns = not self._is_for_looking and _version(channel) < _FORGIVING
        self._kind = kind
        self._queue = queue
        self._channel = channel
        self._held: dict[int, Delivery] = {}
        self._reserved: set[int] = set()
        self._is_leaving = False
        self._last_tag = self._mark = 0
        self.since_mark = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_open(self) -> bool:
        """Whether the channel is; once it is closed, all that it held is back in the queue. From any thread."""
        return bool(self._channel.is_open)

    def close(self) -> None:
        """Close the channel; what is held goes back."""
        if self._channel.is_open:
            self._channel.close()

    def close_when_empty(self) -> None:
        """Close the channel as soon as nothing is held any more."""
        self._is_leaving = True
        if not self._held:
            self.close()

    def mark(self) -> None:
        """Count `since_mark` from here."""
        self._mark, self.since_mark = self._last_tag, 0

    def receive(self, contents: Sequence[Content]) -> list[Delivery]:
        """Take what was delivered."""
        taken = [self._delivery(*content) for content in contents]
        if taken:
            kept = [_without_message(one) for one in taken] if self._is_for_looking else taken
            self._held.update(zip((content[0] for content in contents), kept, strict=True))
            self._last_tag = contents[-1][0]
            self.since_mark += len(taken)
        return taken

    def free(self) -> list[Delivery]:
        """All that is held and not reserved, in the order in which it came."""
        return [delivery for tag, delivery in self._held.items() if tag not in self._reserved]

    def ack(self, tags: Iterable[int]) -> None:
        """Ack what of these is held and not reserved."""
        self._settle([tag for tag in tags if tag in self._held and tag not in self._reserved], ack=True)

    def put_back(self, tags: Iterable[int]) -> None:
        """Return what of these is held and not reserved; see `counts_returns`."""
        self._settle([tag for tag in tags if tag in self._held and tag not in self._reserved], ack=False)

    def reserve(self, tags: Iterable[int]) -> list[Delivery]:
        """Keep others from settling these; those that were held, and are nobody else's to settle now."""
        if not self.is_open:
            return []
        mine = [tag for tag in tags if tag in self._held and tag not in self._reserved]
        self._reserved.update(mine)
        return [self._held[tag] for tag in mine]

    def end_reservation(self, tags: Iterable[int], *, ack: bool) -> None:
        """Ack what was reserved, or let it be held as before."""
        tags = list(tags)
        self._reserved.difference_update(tags)
        if ack:
            self._settle(tags, ack=True)

    def _settle(self, tags: list[int], *, ack: bool) -> None:
        for tag in tags:
            del self._held[tag]
            self.since_mark -= tag > self._mark
        if tags and self.is_open:
            self._write(_ranges(sorted(tags), next(iter(self._held), None)), ack=ack)
        if self._is_leaving and not self._held:
            self.close()

    def _write(self, frames: list[tuple[int, bool]], *, ack: bool) -> None:
        connection = self._channel.connection
        if isinstance(connection, Inlet):
            connection.settle(self._channel.channel_number, frames, ack=ack)
            return
        for tag, multiple in frames:
            if ack:
                self._channel.basic_ack(tag, multiple)
            else:
                self._channel.basic_nack(tag, multiple, requeue=True)

    def _delivery(self, tag: int, properties: pika.BasicProperties, body: bytes) -> Delivery:
        """What the engine gets of a message; one that gae-broker did not publish has an unreadable meta."""
        try:
            message = envelope.message(self._kind, self._queue, properties, body)
        except StorageError as exc:
            key = properties.message_id or f"foreign-{tag}"
            message = Message(key, self._kind, self._queue, key, 0, str(exc), body)
        return Delivery(message, envelope.delivery_count(properties), Receipt(self, tag))


def _without_message(delivery: Delivery) -> Delivery:
    return replace(delivery, message=_NOTHING)


def tag_of(delivery: Delivery) -> int:
    """The delivery's tag in its hand."""
    receipt = delivery.receipt
    return receipt.tag if isinstance(receipt, Receipt) else 0


def by_hand(deliveries: Sequence[Delivery]) -> dict[Hand, list[int]]:
    """The tags of deliveries by the hand that holds them; without those that are back in their queue already."""
    tags: defaultdict[Hand, list[int]] = defaultdict(list)
    for delivery in deliveries:
        receipt = delivery.receipt
        if isinstance(receipt, Receipt) and receipt.hand.is_open:
            tags[receipt.hand].append(receipt.tag)
    return tags


def ack(deliveries: Sequence[Delivery]) -> None:
    """Ack, in the session's thread. A lost ack is a duplicate, so nothing waits for it."""
    for hand, tags in by_hand(deliveries).items():
        hand.ack(tags)


def _ranges(tags: list[int], lowest_kept: int | None) -> list[tuple[int, bool]]:
    """Frames (tag, whether all before it too) that settle these tags: one for all below what is kept, then each.

    RabbitMQ makes one entry of its log of a frame, however many messages it settles.
    """
    low = len(tags) if lowest_kept is None else sum(tag < lowest_kept for tag in tags)
    first = [(tags[low - 1], low > 1)] if low else []
    return first + [(tag, False) for tag in tags[low:]]


def _version(channel: Channel) -> versions.Version:
    properties = channel.connection.server_properties or {}
    version = properties.get("version", "0")
    return versions.parse(version.decode() if isinstance(version, bytes) else str(version))
