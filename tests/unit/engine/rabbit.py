"""A broker in memory, as unhelpful as RabbitMQ: nothing can be looked up, confirms get lost, copies come twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gae_broker import errors
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Clock, Delivery, Depth

Dice = Callable[[float], bool]
"""Whether something with this probability happens now."""


@dataclass
class Stored:
    """One stored message, its place in the order of arrival, and how often its receiver vanished."""

    message: Message
    due_us: int
    place: int
    returns: int = 0


class Rabbit:
    """Queues by kind and name. A test throws the dice.

    Args:
        clock: decides what is due.
        happens: told probabilities; `lambda _: False` for a broker at its best.
    """

    sees_all = False

    def __init__(self, clock: Clock, happens: Dice) -> None:
        self._clock = clock
        self._happens = happens
        self._stored: dict[tuple[Kind, str], list[Stored]] = {}
        self._taken: dict[int, tuple[tuple[Kind, str], Stored]] = {}
        self._receipts = itertools.count()
        self._places = itertools.count()
        self.dead: list[Message] = []

    def delay_all(self, by_us: int) -> None:
        """It was down: whatever waits in it waits longer by that."""
        now_us = self._clock.now_us()
        for stored in itertools.chain(*self._stored.values()):
            if stored.due_us > now_us - by_us:
                stored.due_us += by_us

    def publish(self, messages: Sequence[Message], _: float) -> list[Exception | None]:
        return [self._publish(message) for message in messages]

    def _publish(self, message: Message) -> Exception | None:
        if self._happens(0.03):
            return errors.BrokerUnavailableError("lost before it arrived")
        if message.kind is Kind.DEAD:
            self.dead.append(message)
        else:
            copies = 2 if message.due_us > self._clock.now_us() and self._happens(0.05) else 1
            queue = self._stored.setdefault((message.kind, message.queue), [])
            queue += [Stored(message, message.due_us, next(self._places)) for _ in range(copies)]
        return errors.ConfirmTimeoutError("the confirm was lost") if self._happens(0.03) else None

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        """In the order of arrival: what waited arrives when it is due."""
        address = kind, queue
        now_us = self._clock.now_us()
        there = self._stored.get(address, [])
        ready = sorted((one for one in there if one.due_us <= now_us), key=lambda one: (one.due_us, one.place))
        deliveries = []
        for stored in ready[:limit]:
            there.remove(stored)
            receipt = next(self._receipts)
            self._taken[receipt] = address, stored
            deliveries.append(Delivery(stored.message, stored.returns, receipt))
        return deliveries

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if self._happens(0.03):
                self._return(delivery, 1)  # the connection broke with the ack on its way
            else:
                self._taken.pop(delivery.receipt, None)  # type: ignore[call-overload]

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._return(delivery, 0)

    def vanish(self, deliveries: Sequence[Delivery]) -> None:
        """Their receiver ended."""
        for delivery in deliveries:
            self._return(delivery, 1)

    def _return(self, delivery: Delivery, returns: int) -> None:
        taken = self._taken.pop(delivery.receipt, None)  # type: ignore[call-overload]
        if taken is not None:
            address, stored = taken
            stored.returns += returns
            self._stored[address].append(stored)

    def find(self, *_: object) -> None:
        return None

    def browse(self, *_: object) -> None:
        return None

    def discard(self, *_: object) -> int:
        return 0

    def depth(self, kind: Kind, queue: str) -> Depth:
        now_us = self._clock.now_us()
        ready = sum(one.due_us <= now_us for one in self._stored.get((kind, queue), ()))
        return Depth(ready, None, None, None)

    def purge(self, kind: Kind, queue: str) -> int:
        now_us = self._clock.now_us()
        there = self._stored.get((kind, queue), [])
        delayed = [one for one in there if one.due_us > now_us]
        self._stored[kind, queue] = delayed
        return len(there) - len(delayed)

    def declare(self, queues: Iterable[Queue]) -> None:
        pass

    def known_queues(self) -> Mapping[str, Kind]:
        return {}

    def close(self) -> None:
        pass
