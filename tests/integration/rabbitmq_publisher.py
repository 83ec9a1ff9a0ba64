"""What the tests of publishing to RabbitMQ share."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker_adapters.brokers.rabbitmq import open_broker
from gae_broker_adapters.brokers.rabbitmq.broker import RabbitBroker

QUEUE = "publishing"
DEADLINE_S = 60.0
"""For what is expected to succeed, however loaded the machine is."""
_numbers = itertools.count()


class Clock:
    """The host's."""

    def now_us(self) -> int:
        return time.time_ns() // 1000


@contextmanager
def opened(url: str, *, declare: bool = True) -> Iterator[RabbitBroker]:
    """A broker with the pull queue `QUEUE`, empty, and the push queue of the same name with ``-push``."""
    broker = open_broker(url, clock=Clock())
    try:
        if declare:
            broker.declare([Queue(QUEUE, mode=Mode.PULL), Queue(f"{QUEUE}-push")])
            broker.purge(Kind.PULL, QUEUE)
        yield broker
    finally:
        broker.close()


def message(kind: Kind = Kind.PULL, *, queue: str = QUEUE, body: bytes = b"body", due_us: int = 0) -> Message:
    """A message of a name of its own."""
    queue = queue if kind is Kind.PULL else f"{queue}-push"
    return Message(secrets.token_hex(16), kind, queue, f"task-{os.getpid()}-{next(_numbers)}", due_us, "{}", body)


def stored(broker: RabbitBroker, expected: int) -> set[str]:
    """The keys in `QUEUE`, taken out of it once there are as many."""
    found: set[str] = set()
    deadline = time.monotonic() + DEADLINE_S
    while len(found) < expected and time.monotonic() < deadline:
        deliveries = broker.get(Kind.PULL, QUEUE, 1000)
        found |= {delivery.message.key for delivery in deliveries}
        broker.ack(deliveries)
    return found


def at(url: str, *, user: str | None = None, path: str | None = None, port: int | None = None) -> str:
    """A URL with another login (``user:password``), virtual host or port."""
    split = urlsplit(url)
    login = split.netloc.rpartition("@")[0] if user is None else user
    host = f"127.0.0.1:{port or split.port}"
    return f"{split.scheme}://{login}@{host}{split.path if path is None else path}"
