"""One consumer of one queue, as its caller holds it."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence

from gae_broker.ports import Delivery, Sink
from gae_broker_adapters.brokers.embedded.claiming import Claiming

_log = logging.getLogger("gae_broker.embedded")
_TOKEN_BITS = 62


class EmbeddedSubscription:
    """`gae_broker.ports.Subscription`; the pump's thread feeds it.

    Attributes:
        ack_waits: as `Subscription.ack_waits`.
        token: by which the owners table names it.
        is_active: whether it owns its queue, as far as the pump knows.
        next_due_us: when the first waiting message was due when the pump last looked; ``None``: none waited.
        unsettled: what was delivered and neither acked nor returned.
    """

    def __init__(
        self,
        queue_id: int,
        queue: str,
        sink: Sink,
        claiming: Claiming,
        poke: Callable[[set[int]], None],
        leave: Callable[[EmbeddedSubscription], None],
    ) -> None:
        self.queue_id = queue_id
        self.queue = queue
        self.ack_waits = True
        self.token = secrets.randbits(_TOKEN_BITS)
        self.is_active = False
        self.next_due_us: int | None = None
        self.unsettled: dict[object, Delivery] = {}
        self._sink = sink
        self._claiming = claiming
        self._poke = poke
        self._leave = leave
        self._demand = 0
        self._closed = False
        # Held while the sink is called, so that close() returns only when no call is under way; a sink may itself
        # call any method of its subscription.
        self._calling = threading.RLock()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is delivered."""
        return self._closed

    @property
    def wanted(self) -> int:
        """How many deliveries are asked for."""
        return 0 if self._closed else self._demand

    def demand(self, count: int) -> None:
        """Be ready for ``count`` deliveries, in place of what was asked before."""
        with self._calling:
            self._demand = count
        self._poke({self.queue_id})

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Remove delivered messages for good."""
        self._claiming.ack(deliveries)
        self._settle(deliveries)

    def restore(self, deliveries: Sequence[Delivery]) -> None:
        """Return messages undone; ``delivery_count`` does not rise."""
        changed = self._claiming.restore(deliveries)
        self._settle(deliveries)
        self._poke(changed)

    def close(self) -> None:
        """Give back what is unacked and let another subscription take over. Idempotent."""
        if self.end():
            self._leave(self)

    # ------------------------------------------------------------------------- for the pump

    def hand_over(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Give messages to the sink; those it does not want any more are returned."""
        with self._calling:
            wanted = deliveries[: self.wanted]
            if wanted:
                self._demand -= len(wanted)
                self.unsettled.update((delivery.receipt, delivery) for delivery in wanted)
                self._sink.deliver(wanted)
            return deliveries[len(wanted) :]

    def tell_owned(self, *, active: bool) -> None:
        """Tell the sink of a change of ownership."""
        with self._calling:
            if self._closed or self.is_active == active:
                return
            self.is_active = active
            if not active:
                self.unsettled.clear()
            self._sink.owned(active)

    def tell_lost(self, exc: Exception) -> None:
        """Tell the sink that nothing more will come."""
        with self._calling:
            if self.end():
                try:
                    self._sink.lost(exc)
                except Exception:  # noqa: BLE001 - the consumer's own code
                    _log.exception("embedded broker: the consumer of queue %r failed to end", self.queue)

    def end(self) -> bool:
        """Deliver nothing from now on; whether that is news."""
        with self._calling:
            was_open = not self._closed
            self._closed = True
            return was_open

    def _settle(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self.unsettled.pop(delivery.receipt, None)
