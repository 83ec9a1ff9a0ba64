"""What waits in a real RabbitMQ is counted, listed and run at once by what the ledger knows."""

from __future__ import annotations

import queue
import secrets
from collections.abc import Iterator

import pytest

from gae_broker import errors
from gae_broker.domain.attempt import Outcome
from gae_broker.domain.queue import Mode, Queue, QueueFile
from gae_broker.domain.task import PULL, Content
from gae_broker.engine.delivery import Deliverer
from gae_broker.engine.enqueue import NewTask
from gae_broker.engine.runtime import Runtime
from gae_broker.ports import Delivery, Sink, State
from gae_broker.settings import Settings

S = 1_000_000
PATIENCE_S = 30.0
pytestmark = pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True, scope="module")


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, rabbitmq_url, tmp_path) -> Settings:
    ledger = (
        f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    )
    return Settings(url=rabbitmq_url, ledger=ledger, prefix=f"waiting-{secrets.token_hex(3)}")


@pytest.fixture
def names() -> tuple[str, str]:
    """A push and a pull queue that no other test uses."""
    return f"push-{secrets.token_hex(3)}", f"pull-{secrets.token_hex(3)}"


def opened(settings: Settings, names: tuple[str, str]) -> Runtime:
    push, pull = names
    return Runtime.open(settings, queues=QueueFile(queues={push: Queue(push), pull: Queue(pull, mode=Mode.PULL)}))


@pytest.fixture
def runtime(settings, names) -> Iterator[Runtime]:
    with opened(settings, names) as runtime:
        yield runtime


def add(runtime: Runtime, where: str, *tasks: tuple[str, float], method: str = "POST") -> list[str]:
    now_us = runtime.clock.now_us()
    new = [
        NewTask(
            Content(name, method=method, url="" if method == PULL else "/work", payload=b"p"), now_us + round(s * S)
        )
        for name, s in tasks
    ]
    added = runtime.enqueuer.add(where, new)
    assert [one.error for one in added] == [None] * len(added)
    return [one.name for one in added if one.name]


def tasks(runtime: Runtime, where: str) -> int:
    return runtime.statistician.fetch(where).tasks


def test_every_kind_of_waiting_task_is_counted_by_every_process(settings, names, runtime) -> None:
    push, pull = names
    add(runtime, push, ("", 0), ("", 3000), ("", 3000), ("named", 2000))
    add(runtime, pull, ("", 0), ("", 0), ("", 0), ("", 4000), method=PULL)
    assert tasks(runtime, push) == tasks(runtime, pull) == 4
    leased = runtime.leaser.lease(pull, 600 * S, 2)
    assert len(leased) == 2
    with opened(settings, names) as other:
        assert (tasks(other, push), tasks(other, pull)) == (4, 4)
        runtime.remover.delete(pull, [leased[0].name])
        assert tasks(other, pull) == 3
        other.remover.purge(push)
        assert tasks(runtime, push) == 0


def test_a_named_task_is_listed_and_run_at_once_and_only_once(names, runtime) -> None:
    push, _ = names
    (name, _) = add(runtime, push, ("named", 3000), ("", 3000))
    assert [copy.name for copy in runtime.browser.tasks(push, 10)] == ["named"]
    assert "cannot list" in runtime.browser.unlisted(push)
    copy = runtime.browser.run_now(push, name)
    delivered: queue.Queue[list[Delivery]] = queue.Queue()
    sink = Sink(deliver=delivered.put, owned=lambda _: None, lost=lambda _: None)
    subscription = runtime.broker.subscribe(push, sink)
    subscription.demand(1)
    deliverer, config = Deliverer(runtime, subscription), runtime.catalog.get(push)
    (attempt,) = deliverer.admit(config, delivered.get(timeout=PATIENCE_S))
    assert (attempt.copy.copy_id, attempt.copy.content.payload) == (copy.copy_id, b"p")
    now_us = runtime.clock.now_us()
    (settled,) = deliverer.settle(config, [(attempt, Outcome(200, "", now_us, now_us))])
    assert settled.error is None
    assert runtime.ledger.facts(push, [name])[name].state is State.DONE, "so that the copy in the wheel is void"
    subscription.close()
    assert runtime.browser.find(push, name) is None
    with pytest.raises(errors.Error, match="cannot look tasks up"):
        runtime.browser.find(push, "unknown")
