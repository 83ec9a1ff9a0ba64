"""The pytest plugin: RabbitMQ and PostgreSQL for whoever asks, started when somebody does.

``GAE_BROKER_TEST_URL`` and ``GAE_BROKER_TEST_POSTGRESQL`` name servers to use in place of started ones;
``GAE_BROKER_TEST_RABBITMQ=4.3`` (or ``3.10,4.0``) narrows the versions. Where a server cannot be had a test is
skipped, and fails where ``CI`` is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import VERSIONS, session
from tests.servers.availability import unavailable
from tests.servers.management import Management

URL = os.environ.get("GAE_BROKER_TEST_URL", "")
POSTGRESQL = os.environ.get("GAE_BROKER_TEST_POSTGRESQL", "")
WANTED = os.environ.get("GAE_BROKER_TEST_RABBITMQ", "")
GIVEN = "given"
LOCAL = "local"
_SESSION = pytest.StashKey[AbstractContextManager[session.Session]]()


@dataclass(frozen=True, slots=True)
class RabbitMQ:
    """A running broker that tests share.

    Attributes:
        version: its series; ``given`` where ``GAE_BROKER_TEST_URL`` names it, ``local`` where it is this machine's.
        url: its default virtual host.
        management: its management API; ``None`` where it was given.
    """

    version: str
    url: str
    management: Management | None


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_SESSION] = session.begun()
        config.stash[_SESSION].__enter__()


@pytest.hookimpl(tryfirst=True)  # pytest's own may raise
def pytest_unconfigure(config: pytest.Config) -> None:
    if _SESSION in config.stash:
        config.stash[_SESSION].__exit__(None, None, None)


def _versions() -> list[str]:
    if URL:
        return [GIVEN]
    if not _docker_here() and shutil.which("rabbitmq-server"):
        return [LOCAL]
    return WANTED.replace(" ", "").split(",") if WANTED else list(VERSIONS)


def _docker_here() -> bool:
    """Whether there seems to be an engine; it is asked when a test needs it."""
    return "DOCKER_HOST" in os.environ or any(
        socket.exists() for socket in (Path("/var/run/docker.sock"), Path.home() / ".docker/run/docker.sock")
    )


@pytest.fixture(scope="session", params=_versions())
def rabbitmq(request: pytest.FixtureRequest) -> RabbitMQ:
    """A broker of each version in turn; ``@pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True)`` takes one."""
    version = request.param
    if URL:
        return RabbitMQ(GIVEN, URL, None)
    if not _docker_here():
        version = LOCAL  # whatever version a test asks for, this is the one there is
    try:
        state = session.current().once(f"rabbitmq-{version}", lambda: _start_rabbitmq(version))
    except session.ServerUnavailableError as exc:
        unavailable(str(exc))
    return RabbitMQ(version, state["url"], Management(state["management"]))


def _start_rabbitmq(version: str) -> session.State:
    from tests.servers import local  # noqa: PLC0415 - the Docker client takes a while to import
    from tests.servers.rabbitmq import RabbitMQContainer  # noqa: PLC0415

    try:
        if version == LOCAL:
            return local.start(session.current())
        node = RabbitMQContainer(version)
        node.start()
        node.detach()
    except session.ServerUnavailableError as exc:
        raise session.ServerUnavailableError(
            f"no RabbitMQ {version} here: {exc}; run .ci/servers as root, or name a broker in GAE_BROKER_TEST_URL"
        ) from exc
    return {"url": node.url, "management": node.management.url}


@pytest.fixture(scope="module")
def rabbitmq_url(rabbitmq: RabbitMQ) -> Iterator[str]:
    """The URL of a virtual host of the module's own (of the given broker's, where one was given)."""
    if rabbitmq.management is None:
        yield rabbitmq.url
        return
    with rabbitmq.management.virtual_host() as name:
        yield f"{rabbitmq.url}{name}"


@pytest.fixture(scope="session")
def postgresql() -> str:
    """A running PostgreSQL: the libpq URL of a database whose user may create others."""
    from tests.servers import postgresql as servers  # noqa: PLC0415 - psycopg is an extra

    owner = session.current()
    try:
        return owner.once("postgresql", lambda: servers.start(owner))["url"]
    except session.ServerUnavailableError as exc:
        unavailable(str(exc))


@pytest.fixture(scope="module")
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The SQLAlchemy URL of a database of the module's own (of the given one, where one was given)."""
    from tests.servers import postgresql as servers  # noqa: PLC0415

    given = nullcontext(POSTGRESQL) if POSTGRESQL else None
    with given or servers.database(request.getfixturevalue("postgresql")) as url:
        yield url
