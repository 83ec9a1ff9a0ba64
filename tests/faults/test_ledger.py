"""The ledger is away for a while: PostgreSQL refuses connections, an SQLite file is locked."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gae_broker import errors, taskqueue
from gae_broker.engine.runtime import using
from tests.faults import handler
from tests.faults.proxy import Proxy
from tests.faults.site import Site
from tests.servers.rabbitmq import RabbitMQContainer

SOME = 75
MORE = 40

Outage = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture(params=["postgresql", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Outage]]:
    """A ledger's URL, and a context in which it is away."""
    if request.param == "sqlite":
        file = tmp_path / "facts.db"

        @contextmanager
        def locked() -> Iterator[None]:
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("PRAGMA busy_timeout = 60000")
                other.execute("BEGIN IMMEDIATE")
                yield

        yield f"sqlite:///{file}", locked
        return
    url = urlsplit(request.getfixturevalue("postgresql_url"))
    with Proxy(url.port or 5432, reads_frames=False) as proxy:

        @contextmanager
        def refused() -> Iterator[None]:
            proxy.refuse()
            try:
                yield
            finally:
                proxy.heal()

        yield url._replace(netloc=url.netloc.replace(f":{url.port}", f":{proxy.port}")).geturl(), refused


def test_without_a_ledger_unnamed_tasks_are_added_and_the_rest_waits(
    broker: RabbitMQContainer, make_site, ledger: tuple[str, Outage]
) -> None:
    url, away = ledger
    site: Site = make_site(broker, ledger=url)
    dispatcher, producer = site.dispatcher(), site.producer()
    site.await_done(SOME)
    with site.runtime() as runtime, using(runtime):
        queue = taskqueue.Queue(site.queue)
        with away():
            with pytest.raises(errors.TransientError):
                queue.add(taskqueue.Task(name="named", payload=handler.body("named", 0, 1, 0)))
            site.wait_for(lambda: "dispatching is held" in dispatcher.said, "the dispatcher to hold")
            before = site.done()
            for number in range(MORE):
                queue.add(taskqueue.Task(payload=handler.body(f"unnamed-{number}", 0, 1, 0)))
            assert not [name for name in site.done() - before if name.startswith("unnamed")]
        site.wait_for(lambda: "ledger: works again" in dispatcher.said, "the dispatcher to go on")
        queue.add(taskqueue.Task(name="named", payload=handler.body("named", 0, 1, 0)))
    wanted = {"named", *(f"unnamed-{number}" for number in range(MORE))}
    site.wait_for(lambda: wanted <= site.done().keys(), "the tasks that were added meanwhile")
    assert producer.end() == 0
    site.await_all_done()
    assert dispatcher.is_running
    assert not site.early()
    assert not site.again() - site.unsure()
