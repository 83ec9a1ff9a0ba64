"""The one background thread of a broker object: heartbeat, ownership of queues, and delivery to subscriptions."""

from __future__ import annotations

import logging
import os
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
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._subscriptions: list[EmbeddedSubscription] = []
        self._leaving: list[EmbeddedSubscription] = []
        self._stirred: set[int] = set()
        self._contested = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._next_beat_s = 0.0
        self._complaint = ""

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
        if not self._subscriptions or self._pid != os.getpid():
            return
        with self._changed:
            served = {subscription.queue_id for subscription in self._subscriptions if subscription.wanted}
            if not served.isdisjoint(queue_ids):
                self._stirred |= served & queue_ids
                self._changed.notify()

    def subscribe(self, queue_id: int, queue: str, sink: Sink) -> EmbeddedSubscription:
        """Add a subscription; it competes for its queue from now on."""
        subscription = EmbeddedSubscription(queue_id, queue, sink, self._claiming, self.poke, self._leave)
        with self._changed:
            self._subscriptions.append(subscription)
        self._contest()
        self.start()
        return subscription

    def close(self) -> None:
        """Stop the thread and give back everything at once. Idempotent."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        for subscription in list(self._subscriptions):
            subscription.end()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._receiver.is_needed:
            try:
                with self._connections.writing(_WAIT_S) as connection:
                    self._receiver.retire(connection)
            except Error as exc:
                _log.warning("embedded broker: what this process holds comes back a few seconds late: %s", exc)

    # ------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._stopping:
            stirred = self._wait()
            try:
                self._work(stirred)
                self._complaint = ""
            except StorageError as exc:
                self._lose_all(exc)
            except Error as exc:
                self._complain(exc)
                with self._changed:
                    self._stirred |= stirred
                    self._contested = True
                    self._changed.wait(_RECOVERY_S)
            except Exception as exc:  # noqa: BLE001 - a dead thread would be a silent loss of service
                _log.exception("embedded broker: the background thread failed; its subscriptions end")
                self._lose_all(exc)

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
        dues_us = [each.next_due_us for each in hungry if each.is_active and each.next_due_us is not None]
        if dues_us:
            pause_s = min(pause_s, (min(dues_us) - self._clock.now_us()) / 1e6)
        return min(pause_s, _POLL_S)

    def _work(self, stirred: set[int]) -> None:
        if self._stopping:
            return
        subscriptions = list(self._subscriptions)
        foreign = any(subscription.wanted for subscription in subscriptions) and self._connections.foreign_commits()
        stands_by = any(not subscription.is_active for subscription in subscriptions)
        if self._contested or (foreign and stands_by) or time.monotonic() >= self._next_beat_s:
            stirred |= self._beat()
        now_us = self._clock.now_us()
        concerned = [
            subscription
            for subscription in subscriptions
            if subscription.is_active
            and subscription.wanted
            and (foreign or subscription.queue_id in stirred or _is_past(subscription.next_due_us, now_us))
        ]
        self._serve([subscription for subscription in concerned if self._look(subscription)])

    def _beat(self) -> set[int]:
        """Renew the heartbeat, bury dead receivers, settle who owns what; the queues that changed by it."""
        self._see_off()
        with self._changed:
            subscriptions = list(self._subscriptions)
            self._contested = False
        with self._connections.writing(_WAIT_S) as connection:
            changed = self._receiver.bury_the_dead(connection)
            receiver = self._receiver.id(connection)
            active = [
                owners.acquire(connection, subscription.queue_id, subscription.token, receiver)
                for subscription in subscriptions
            ]
        self._next_beat_s = time.monotonic() + BEAT_S
        for subscription, is_active in zip(subscriptions, active, strict=True):
            if subscription.is_active != is_active:
                changed.add(subscription.queue_id)
                self._tell_owned(subscription, active=is_active)
            if is_active and subscription.has_ended:  # closed meanwhile, and perhaps released before it acquired
                self._leaving.append(subscription)
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
                queue_id, queue = subscription.queue_id, subscription.queue
                if owners.is_owner(connection, queue_id, subscription.token):
                    limit = min(subscription.wanted, _BATCH)
                    batches.append(
                        (subscription, self._claiming.claim(connection, Kind.PUSH, queue, queue_id, limit)),
                    )
                else:  # superseded while this process stood still
                    self._contested = True
        for subscription, deliveries in batches:
            self._deliver(subscription, deliveries)

    def _deliver(self, subscription: EmbeddedSubscription, deliveries: list[Delivery]) -> None:
        try:
            unwanted = subscription.hand_over(deliveries)
        except Exception as exc:  # noqa: BLE001 - the consumer's own code
            self._expel(subscription, exc)
        else:
            self._claiming.restore(unwanted)
            self.poke({subscription.queue_id})

    def _tell_owned(self, subscription: EmbeddedSubscription, *, active: bool) -> None:
        try:
            subscription.tell_owned(active=active)
        except Exception as exc:  # noqa: BLE001 - the consumer's own code
            self._expel(subscription, exc)

    def _expel(self, subscription: EmbeddedSubscription, exc: Exception) -> None:
        """End the one subscription whose consumer failed; the others go on."""
        _log.error("embedded broker: the consumer of queue %r failed; it ends", subscription.queue, exc_info=exc)
        subscription.tell_lost(exc)
        self._leave(subscription)

    # ------------------------------------------------------------------------------------------ leaving

    def _leave(self, subscription: EmbeddedSubscription) -> None:
        """Take a subscription out; if the file cannot be written now, the thread does it later."""
        if self._pid != os.getpid():
            return
        with self._changed:
            if subscription not in self._subscriptions:
                return
            self._subscriptions.remove(subscription)
            self._leaving.append(subscription)
        try:
            self._see_off()
        except Error as exc:
            self._complain(exc)
        self._contest()

    def _see_off(self) -> None:
        """Release what subscriptions that left own and hold."""
        with self._changed:
            leaving, self._leaving = self._leaving, []
        if not leaving:
            return
        try:
            with self._connections.writing(_WAIT_S) as connection:
                for subscription in leaving:
                    owners.release(connection, subscription.token)
                    self._claiming.restore_within(connection, list(subscription.unsettled.values()))
        except Error:
            with self._changed:
                self._leaving += leaving
            raise

    def _lose_all(self, exc: Exception) -> None:
        with self._changed:
            subscriptions, self._subscriptions = self._subscriptions, []
            self._leaving += subscriptions
        for subscription in subscriptions:
            subscription.tell_lost(exc)
        self._next_beat_s = time.monotonic() + BEAT_S

    def _contest(self) -> None:
        """Let the thread settle anew who owns what."""
        with self._changed:
            self._contested = True
            self._changed.notify()

    def _complain(self, exc: Error) -> None:
        """Log what goes on for a while once."""
        if str(exc) != self._complaint:
            self._complaint = str(exc)
            _log.warning("embedded broker: %s", exc)


def _is_past(due_us: int | None, now_us: int) -> bool:
    return due_us is not None and due_us <= now_us
