from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.domain.queue import QueueFile
from gae_broker.engine.catalog import Catalog
from gae_broker.engine.storage import StorageGuard
from tests.unit.engine.worlds import World, adapters, pull_task, push_task, queue_file


class Store:
    """Something that knows how much it stores."""

    def __init__(self, stored_bytes):
        self.bytes = stored_bytes

    def stored_bytes(self):
        return self.bytes


def guard(limit, broker, ledger=None):
    return StorageGuard(Catalog(QueueFile(total_storage_limit=limit)), broker, ledger)


@pytest.mark.parametrize(
    ("limit", "broker", "ledger", "added", "fits"),
    [
        pytest.param(None, Store(10**9), Store(0), 10**9, True, id="no limit"),
        pytest.param(100, Store(60), Store(30), 10, True, id="exactly full"),
        pytest.param(100, Store(60), Store(30), 11, False, id="one byte too many"),
        pytest.param(100, Store(60), object(), 41, False, id="the broker alone"),
        pytest.param(100, object(), Store(200), 10, True, id="a broker that cannot tell"),
        pytest.param(100, Store(None), Store(200), 10, True, id="a broker that cannot tell now"),
        pytest.param(0, Store(0), Store(0), 1, False, id="nothing at all"),
    ],
)
def test_the_limit(limit, broker, ledger, added, fits):
    if fits:
        guard(limit, broker, ledger).require(added)
    else:
        with pytest.raises(errors.PublishRejectedError, match=f"total_storage_limit is {limit} bytes"):
            guard(limit, broker, ledger).require(added)


def test_what_is_added_counts_before_the_next_measurement():
    store = Store(0)
    limited = guard(100, store)
    limited.require(60)
    store.bytes = 60
    with pytest.raises(errors.PublishRejectedError):
        limited.require(41)


def test_it_is_measured_again_before_an_add_is_refused():
    store = Store(90)
    limited = guard(100, store)
    limited.require(10)
    store.bytes = 0
    limited.require(100)


def test_a_broker_that_cannot_tell_is_named_in_one_warning(caplog):
    limited = guard(100, object())
    limited.require(1)
    limited.require(1)
    assert len(caplog.records) == 1
    assert "cannot tell how much it stores" in caplog.text


def test_all_queues_and_tagged_tasks_count(clock):
    with adapters(clock) as (broker, ledger):
        world = World(broker, ledger, clock, queues=queue_file(total_storage_limit=100))
        world.add(push_task(payload=b"x" * 40), queue="push")
        world.add(pull_task("n", payload=b"x" * 40))
        world.add(pull_task(tag="t", payload=b"x" * 20), queue="twice")
        for full in (pull_task(payload=b"x"), pull_task("m", payload=b"x"), pull_task(tag="t", payload=b"x")):
            with pytest.raises(errors.PublishRejectedError, match="100 are stored"):
                world.add(full)
        assert world.add(pull_task(payload=b""))[0].error is None
        world.delete("n")
        assert world.add(pull_task("m", payload=b"x" * 40))[0].error is None
