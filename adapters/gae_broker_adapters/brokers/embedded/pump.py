"""The one background thread of a broker object: heartbeat, ownership of queues, and delivery to subscriptions."""

from __future__ import annotations

import logging
import threading
import time

from gae_broker.domain.task import Kind
from gae_broker.errors import Error, StorageError
from gae_broker.ports import Clock, Delivery, Sink
from gae_broker_adapters.brokers.embedded import owners
from gae_broker_adapters.brokers.embedded.claiming import Claiming
from gae_broker_adapters.brokers.embedded.connections import Connections
from gae_broker_adapters.brokers.embedded.receiver import BEAT_S, Receiver
from gae_broker_adapters.brokers.embedded.subscription import EmbeddedSubscription

_log = logging.getLogger("gae_broker.embedded")
_POLL_S = 0.015  # how soon another process's commit, or a virtual clock that was moved, is noticed
_RECOVERY_S = 0.25  # between attempts while the file is locked or its disk full
_BATCH = 1000  # messages taken in one transaction
_WAIT_S = 2.0  # for the write lock; the next round tries again


class Pump:
    """Serves every subscription of one broker object from one thread, which starts when first needed."""

    def __init__(self, connections: Connections, claiming: Claiming, receiver: Receiver, clock: Clock) -> None:
        self._connections = connections
        self._claiming = claiming
        self._receiver = receiver
        self._clock = clock
        self._changed = threading.Condition()
        self._subscriptions: list[EmbeddedSubscription] = []
        self._leaving: list[EmbeddedSubscription] = []
        self._stirred: set[int] = set()
        self._contested = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._next_beat_s = 0.0

    def start(self) -> None:
        """Start the thread if it does not run."""
        if self._thread is not None:
            return
        with self._changed:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="gae-broker embedded", daemon=True)
                self._thread.start()

    def poke(self, queue_ids: set[int]) -> None:
        """Look at these queues now: something changed in them."""
        if not self._subscriptions:
            return
        with self._changed:
            served = queue_ids.intersection(subscription.queue_id for subscription in self._subscriptions)
            if served:
                self._stirred |= served
                self._changed.notify()

    def subscribe(self, queue_id: int, queue: str, sink: Sink) -> EmbeddedSubscription:
        """Add a subscription; it competes for its queue from now on."""
        subscription = EmbeddedSubscription(queue_id, queue, sink, self._claiming, self.poke, self._leave)
        with self._changed:
            self._subscriptions.append(subscription)
            self._contested = True
            self._changed.notify()
        self.start()
        return subscription

    def close(self) -> None:
        """Stop the thread and give back everything at once. Idempotent."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        for subscription in self._subscriptions:
            subscription.end()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._receiver.is_needed:
            with self._connections.writing() as connection:
                self._receiver.retire(connection)

    # ------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            stirred = self._wait()
            if self._stopping:
                return
            try:
                self._work(stirred)
            except StorageError as exc:
                self._lose_all(exc)
            except Error as exc:
                _log.warning("embedded broker: %s", exc)
                with self._changed:
                    self._stirred |= stirred
                    self._changed.wait(_RECOVERY_S)

    def _wait(self) -> set[int]:
        """Sleep until there may be something to do; the queues known to have changed."""
        with self._changed:
            if not self._stirred and not self._contested and not self._stopping:
                self._changed.wait(max(self._pause_s(), 0.0))
            stirred, self._stirred = self._stirred, set()
            return stirred

    def _pause_s(self) -> float:
        pause_s = self._next_beat_s - time.monotonic()
        hungry = [subscription for subscription in self._subscriptions if subscription.wanted]
        if not hungry:
            return pause_s
        dues_us = [subscription.next_due_us for subscription in hungry if subscription.next_due_us is not None]
        if dues_us:
            pause_s = min(pause_s, (min(dues_us) - self._clock.now_us()) / 1e6)
        return min(pause_s, _POLL_S)

    def _work(self, stirred: set[int]) -> None:
        hungry = any(subscription.wanted for subscription in self._subscriptions)
        foreign = hungry and self._connections.foreign_commits()
        if time.monotonic() >= self._next_beat_s or self._contested or (foreign and self._has_standby()):
            stirred |= self._beat()
        now_us = self._clock.now_us()
        due = [
            subscription
            for subscription in list(self._subscriptions)
            if subscription.is_active
            and subscription.wanted
            and (foreign or subscription.queue_id in stirred or _is_past(subscription.next_due_us, now_us))
        ]
        self._serve([subscription for subscription in due if self._look(subscription)])

    def _has_standby(self) -> bool:
        return any(not subscription.is_active for subscription in self._subscriptions)

    def _beat(self) -> set[int]:
        """Renew the heartbeat, bury dead receivers, settle who owns what; the queues that changed by it."""
        with self._changed:
            subscriptions, leaving = list(self._subscriptions), list(self._leaving)
            self._contested = False
        with self._connections.writing(_WAIT_S) as connection:
            receiver = self._receiver.id(connection)
            changed = self._receiver.bury_the_dead(connection)
            for subscription in leaving:
                owners.release(connection, subscription.token)
            active = [
                owners.acquire(connection, subscription.queue_id, subscription.token, receiver)
                for subscription in subscriptions
            ]
        self._next_beat_s = time.monotonic() + BEAT_S
        for subscription, is_active in zip(subscriptions, active, strict=True):
            if subscription.is_active != is_active:
                subscription.tell_owned(active=is_active)
                changed.add(subscription.queue_id)
        for subscription in leaving:
            changed |= self._claiming.restore(list(subscription.unsettled.values()))
            self._leaving.remove(subscription)
        return changed

    def _look(self, subscription: EmbeddedSubscription) -> bool:
        """Whether something is due for it."""
        subscription.next_due_us = self._claiming.first_due_us(subscription.queue_id)
        return _is_past(subscription.next_due_us, self._clock.now_us())

    def _serve(self, subscriptions: list[EmbeddedSubscription]) -> None:
        """Claim for all of them in one transaction, then deliver."""
        if not subscriptions:
            return
        batches: list[tuple[EmbeddedSubscription, list[Delivery]]] = []
        with self._connections.writing(_WAIT_S) as connection:
            for subscription in subscriptions:
                if owners.is_owner(connection, subscription.queue_id, subscription.token):
                    limit = min(subscription.wanted, _BATCH)
                    queue_id, queue = subscription.queue_id, subscription.queue
                    batches.append(
                        (subscription, self._claiming.claim(connection, Kind.PUSH, queue, queue_id, limit)),
                    )
                else:
                    self._contested = True
        for subscription, deliveries in batches:
            self._deliver(subscription, deliveries)

    def _deliver(self, subscription: EmbeddedSubscription, deliveries: list[Delivery]) -> None:
        try:
            unwanted = subscription.hand_over(deliveries)
        except Exception as exc:
            _log.exception("embedded broker: the consumer of queue %r failed", subscription.queue)
            subscription.tell_lost(exc)
            self._leave(subscription)
            return
        if unwanted:
            self._claiming.restore(unwanted)
        self.poke({subscription.queue_id})

    def _leave(self, subscription: EmbeddedSubscription) -> None:
        """Take a subscription out; if the file cannot be written now, the thread does the rest later."""
        with self._changed:
            if subscription not in self._subscriptions:
                return
            self._subscriptions.remove(subscription)
            self._leaving.append(subscription)
            self._contested = True
            self._changed.notify()
        if self._thread is None or self._thread is threading.current_thread():
            return

    def _lose_all(self, exc: StorageError) -> None:
        with self._changed:
            subscriptions, self._subscriptions = self._subscriptions, []
            self._next_beat_s = time.monotonic() + BEAT_S
        for subscription in subscriptions:
            subscription.tell_lost(exc)


def _is_past(due_us: int | None, now_us: int) -> bool:
    return due_us is not None and due_us <= now_us
