"""The servers that are measured: started as the tests start theirs, or those that the environment names.

``GAE_BROKER_TEST_URL`` names a RabbitMQ, ``GAE_BROKER_MANAGEMENT`` its management API where that is not at port 15672
of the same host, ``GAE_BROKER_TEST_POSTGRESQL`` a database whose user may create others. What is started here ends
with the process. Every benchmark works in a virtual host of its own, which is deleted at its end with all that anybody
declared there, and in a database of its own.
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote, urlsplit

import pika
import psycopg

from benchmarks.measure import Unavailable
from tests.servers import postgresql as postgresql_servers
from tests.servers import session
from tests.servers.management import Management

_HOW = (
    "run .ci/servers as root to have Docker and its images, or set GAE_BROKER_TEST_URL=amqp://... and, unless its "
    "management API is at port 15672 of the same host, GAE_BROKER_MANAGEMENT=http://..."
)


@contextmanager
def virtual_host(*, queue_type: str = "quorum") -> Iterator[str]:
    """The URL of a new virtual host whose queues are of this type by default, deleted at the end of the block.

    Raises:
        Unavailable: there is no RabbitMQ.
    """
    amqp, management = _rabbitmq()
    name = f"gae-broker-bench-{secrets.token_hex(4)}"
    management.call("PUT", f"vhosts/{name}", {"default_queue_type": queue_type})
    try:
        user = quote(urlsplit(management.url).username or "", safe="")
        management.call("PUT", f"permissions/{name}/{user}", {"configure": ".*", "write": ".*", "read": ".*"})
        yield f"{amqp}/{name}"
    finally:
        with suppress(OSError):
            management.call("DELETE", f"vhosts/{name}")


@contextmanager
def postgresql() -> Iterator[str]:
    """The SQLAlchemy URL of a new database, dropped at the end of the block.

    Raises:
        Unavailable: there is no PostgreSQL.
    """
    given = os.environ.get("GAE_BROKER_TEST_POSTGRESQL", "")
    try:
        url = given.replace("postgresql+psycopg://", "postgresql://") or _started_postgresql()
        psycopg.connect(url, connect_timeout=5).close()
    except session.ServerUnavailableError as exc:
        raise Unavailable(str(exc)) from exc
    except psycopg.Error as exc:
        raise Unavailable(f"PostgreSQL does not answer: {str(exc).strip()}; {postgresql_servers.HOW}") from exc
    with postgresql_servers.database(url) as made:
        yield made


def ready(url: str, queue: str) -> int:
    """How many messages of a queue wait for a consumer."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


@functools.cache
def _rabbitmq() -> tuple[str, Management]:
    """A broker's URL without its virtual host, and its management API."""
    given = os.environ.get("GAE_BROKER_TEST_URL", "")
    if not given:
        return _started_rabbitmq()
    split = urlsplit(given)
    if split.scheme != "amqp":
        raise Unavailable(f"GAE_BROKER_TEST_URL: the benchmarks speak amqp:// only, not {split.scheme}://")
    login = f"{split.username or 'guest'}:{split.password or 'guest'}"
    url = os.environ.get("GAE_BROKER_MANAGEMENT") or f"http://{split.hostname}:15672"
    management = Management(url.rstrip("/") if "@" in url else url.rstrip("/").replace("://", f"://{login}@", 1))
    if not management.is_ready():
        raise Unavailable(f"the management API of GAE_BROKER_TEST_URL does not answer at {split.hostname}; {_HOW}")
    return f"amqp://{login}@{split.hostname}:{split.port or 5672}", management


def _started_rabbitmq() -> tuple[str, Management]:
    _begin()
    try:
        from tests.servers.rabbitmq import RabbitMQContainer  # noqa: PLC0415 - the Docker client takes a while to import

        node = RabbitMQContainer()
        node.start()
        node.detach()
    except session.ServerUnavailableError as exc:
        raise Unavailable(f"no RabbitMQ here: {exc}; {_HOW}") from exc
    return node.url.rstrip("/"), node.management


@functools.cache
def _started_postgresql() -> str:
    return postgresql_servers.start(_begin())["url"]


@functools.cache
def _begin() -> session.Session:
    """A session of servers that ends with this process, however that ends."""
    begun = session.begun()
    atexit.register(begun.__exit__, None, None, None)
    return begun.__enter__()
