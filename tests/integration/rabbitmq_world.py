"""A virtual host of a test's own, users in it, and brokers opened on it."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from gae_broker.domain.broker_options import BrokerOptions, Declaring
from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Check, Delivery, Needs, Role, Sink
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.rabbitmq import open_broker
from gae_broker_adapters.brokers.rabbitmq.broker import RabbitBroker
from gae_broker_adapters.brokers.rabbitmq.operating import permissions
from tests.servers.fixtures import RabbitMQ
from tests.servers.management import Management

PREFIX = "gaetq"
QUEUES = [Queue("mail"), Queue("inbox", mode=Mode.PULL)]


def queues() -> list[Queue]:
    """A push and a pull queue that no other test knows."""
    run = secrets.token_hex(4)
    return [Queue(f"push-{run}"), Queue(f"pull-{run}", mode=Mode.PULL)]


DEADLINE_S = 10.0


class World:
    """One virtual host; what is opened here is closed with it."""

    def __init__(self, server: RabbitMQ, management: Management, virtual_host: str, opened: ExitStack) -> None:
        self.server = server
        self.management = management
        self.virtual_host = virtual_host
        self._opened = opened

    @property
    def url(self) -> str:
        return f"{self.server.url}{self.virtual_host}"

    def broker(self, user: str = "", **options: Any) -> RabbitBroker:
        """Open a broker object, as guest or as a user that `user` made."""
        split = urlsplit(self.url)
        where = f"{user}:{user}@{split.hostname}:{split.port}"
        url = urlunsplit(split._replace(netloc=where)) if user else self.url
        chosen = dataclasses.replace(BrokerOptions(PREFIX, management=self.management.url), **options)
        broker = open_broker(url, clock=RealClock(), options=chosen)
        self._opened.callback(broker.close)
        return broker

    def verifying(self, user: str = "", **options: Any) -> RabbitBroker:
        return self.broker(user, declaring=Declaring.VERIFY, **options)

    def user(self, *patterns: str, tags: str = "") -> str:
        """A user of this virtual host alone, whose password is its name."""
        name = f"user-{secrets.token_hex(4)}"
        self.management.call("PUT", f"users/{name}", {"password": name, "tags": tags})
        self._opened.callback(self.management.call, "DELETE", f"users/{name}")
        allowed = dict(zip(("configure", "write", "read"), patterns, strict=True))
        self.management.call("PUT", f"permissions/{self.virtual_host}/{name}", allowed)
        return name

    def user_in(self, role: Role) -> str:
        return self.user(*permissions.patterns(role, PREFIX))

    def policy(self, queue: str, kind: str = "", **definition: object) -> str:
        """A policy that hits the objects of one App Engine queue; its name."""
        name = f"careless-{queue}"
        body = {"pattern": rf"{kind}\.q\.{queue}$", "definition": definition, "apply-to": "queues"}
        self.management.call("PUT", f"policies/{self.virtual_host}/{name}", body)
        return name


@contextmanager
def world(server: RabbitMQ) -> Iterator[World]:
    """A new virtual host on a server; where its management API is not known, the test is skipped."""
    if server.management is None:
        pytest.skip("GAE_BROKER_TEST_URL names no management API")
    with server.management.virtual_host() as name, ExitStack() as opened:
        yield World(server, server.management, name, opened)


def message(kind: Kind, queue: str, *, after_s: float = 0.0, key: str = "task", body: bytes = b"body") -> Message:
    due_us = RealClock().now_us() + round(after_s * 1e6) if after_s else 0
    return Message(secrets.token_hex(8), kind, queue, key, due_us, "{}", body)


def publish(broker: RabbitBroker, *messages: Message) -> None:
    assert broker.publish(messages, DEADLINE_S) == [None] * len(messages)


def found(checks: list[Check], name: str) -> list[tuple[str, str]]:
    """Status and text of the checks of this name."""
    return [(check.status.value, check.text) for check in checks if check.name == name]


def status(broker: RabbitBroker, name: str, needs: Needs | None = None) -> str:
    """The worst status of the checks of this name."""
    statuses = [one for one, _ in found(broker.check(needs or Needs(QUEUES)), name)]
    return next((one for one in ("failed", "warning", "ok") if one in statuses), "none")


def received(broker: RabbitBroker, queue: str, count: int) -> list[Delivery]:
    """Consume a push queue until so many came, and ack them."""
    deliveries: list[Delivery] = []
    subscription = broker.subscribe(queue, Sink(deliveries.extend, lambda _: None, lambda _: None))
    subscription.demand(count)
    eventually(lambda: len(deliveries) >= count, f"{count} deliveries")
    subscription.ack(deliveries)
    subscription.close()
    return deliveries


def pulled(broker: RabbitBroker, queue: str, kind: Kind = Kind.PULL) -> list[Delivery]:
    """Get one message, as soon as it is there, and ack it."""
    taken = eventually(lambda: broker.get(kind, queue, 1), "a message")
    broker.ack(taken)
    return taken


Opened = Callable[..., RabbitBroker]
