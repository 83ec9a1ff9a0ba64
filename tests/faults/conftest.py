"""One RabbitMQ for all faults that one server can have, and sites whose processes end with their test."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.brokers import ADVANCED, CONFIG
from tests.faults.proxy import Proxy
from tests.faults.site import Site
from tests.servers.availability import unavailable
from tests.servers.rabbitmq import RabbitMQContainer
from tests.servers.session import ServerUnavailableError


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., object]]:
    """Starts a server or a cluster that ends with the session; without Docker the test is skipped, in CI it fails."""
    with ExitStack() as started:

        def enter(make: Callable[..., object], **options: str) -> object:
            try:
                return started.enter_context(make(advanced=ADVANCED, **options))
            except ServerUnavailableError as exc:
                unavailable(str(exc))

        yield enter


@pytest.fixture(scope="session")
def broker(start) -> RabbitMQContainer:
    """A RabbitMQ that a test may break as long as it repairs it."""
    return start(RabbitMQContainer, config=CONFIG)


@pytest.fixture
def proxy(broker: RabbitMQContainer) -> Iterator[Proxy]:
    """A way to the broker that breaks on command."""
    with Proxy(broker.port) as made:
        yield made


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What is random, the same each time."""
    return random.Random(request.node.name)


@pytest.fixture
def make_site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Site]]:
    """Makes a site with a queue of the test's own."""
    with ExitStack() as made:

        def make(server: RabbitMQContainer, queue_yaml: str = "", *, ledger: str = "", url: str = "") -> Site:
            queue = re.sub("[^A-Za-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")[-60:]
            return made.enter_context(Site(tmp_path, server, queue, queue_yaml, ledger=ledger, url=url))

        yield make
