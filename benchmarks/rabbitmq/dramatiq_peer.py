"""Dramatiq with ``confirm_delivery``; its queue type is the virtual host's default, so quorum or classic at will."""

from __future__ import annotations

import threading
import time

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.worker import Worker

from benchmarks.stores import PAYLOAD

_TEXT = PAYLOAD.decode()
_THREADS = 8


class DramatiqPeer:
    """A broker and one actor that does nothing."""

    def __init__(self, url: str, queue: str) -> None:
        self._broker = RabbitmqBroker(url=url, confirm_delivery=True)
        self._count = self._expected = 0
        self._first = self._last = 0.0
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._actor = dramatiq.actor(self._noop, broker=self._broker, queue_name=queue, actor_name="noop")

    def add(self, count: int) -> None:
        """Send one by one: Dramatiq has no batches."""
        for _ in range(count):
            self._actor.send(_TEXT)

    def add_from_threads(self, count: int, threads: int) -> float:
        """Send from several threads, each with its own connection, as Dramatiq has it; messages per second.

        The connections are made before.
        """
        ready = threading.Barrier(threads + 1)
        started = [threading.Thread(target=self._add, args=(count // threads, ready)) for _ in range(threads)]
        for thread in started:
            thread.start()
        ready.wait()
        begun = time.perf_counter()
        for thread in started:
            thread.join()
        return count / (time.perf_counter() - begun)

    def drain(self, count: int) -> float:
        """Run what is in the queue in this process, with Dramatiq's own worker: messages per second. Only once."""
        self._expected = count
        worker = Worker(self._broker, worker_threads=_THREADS, worker_timeout=100)
        worker.start()
        try:
            if not self._done.wait(300):
                raise RuntimeError(f"Dramatiq ran {self._count} of {count} messages in 300 s")
        finally:
            worker.stop()
        return (count - 1) / (self._last - self._first)

    def close(self) -> None:
        """Close its connections."""
        self._broker.close()

    def _add(self, count: int, ready: threading.Barrier) -> None:
        self.add(1)
        ready.wait()
        self.add(count)
        # Left for the broker to close with all others: closing it here would count as adding.

    def _noop(self, _text: str) -> None:
        with self._lock:
            self._count += 1
            self._last = time.perf_counter()
            if self._count == 1:
                self._first = self._last
            if self._count == self._expected:
                self._done.set()
