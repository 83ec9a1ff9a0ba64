from __future__ import annotations

import pytest

from gae_broker import errors
from gae_broker.engine import transactions
from tests.unit.engine.doubles import Passing
from tests.unit.engine.worlds import World, names, pull_task


class Transaction:
    """A transaction without anything to store: what `transactions.Transaction` asks for, and no more."""

    def __init__(self):
        self.copies = []
        self.deliveries = []

    @property
    def enlisted(self):
        return len(self.copies)

    def enlist(self, tasks, deliver):
        self.copies += [task.copy for task in tasks]
        self.deliveries.append(deliver)

    def commit(self):
        while self.deliveries:
            self.deliveries[0]()
            self.deliveries.pop(0)


@pytest.fixture
def transaction():
    current = Transaction()

    def provide():
        return current

    transactions.register(provide)
    transactions.register(provide)
    yield current
    transactions.unregister(provide)
    transactions.unregister(provide)


def test_nothing_is_there_before_the_commit_and_everything_after(world, transaction):
    added = world.add(pull_task(payload=b"1"), pull_task(tag="t"), transactional=True)
    assert [(task.name, task.error) for task in added] == [("auto-0001", None), ("auto-0002", None)]
    world.clock.advance(1)
    assert world.lease() == []
    assert world.runtime.browser.tasks("pull", 9) == []
    transaction.commit()
    assert names(world.lease()) == ["auto-0001", "auto-0002"]


def test_a_rollback_drops_everything(world, transaction):
    world.add(pull_task(), transactional=True)
    transaction.deliveries.clear()
    transaction.commit()
    world.clock.advance(1)
    assert world.lease() == []


def test_outside_of_a_transaction(world):
    with pytest.raises(errors.BadTransactionStateError, match="transaction"):
        world.add(pull_task(), transactional=True)
    assert transactions.current() is None


def test_five_tasks_over_all_adds_and_the_sixth_leaves_the_transaction_as_it_was(world, transaction):
    world.add(pull_task(), pull_task(), transactional=True)
    world.add(pull_task(), pull_task(), pull_task(), transactional=True)
    with pytest.raises(errors.DatastoreError, match="Too many messages, maximum allowed 5"):
        world.add(pull_task(), transactional=True)
    transaction.commit()
    assert world.stored() == 5


@pytest.mark.parametrize(
    ("task", "queue", "error"),
    [
        (pull_task("n"), "pull", errors.InvalidTaskNameError),
        (pull_task(), "push", errors.InvalidQueueModeError),
    ],
)
def test_what_a_transaction_does_not_take(world, transaction, task, queue, error):
    with pytest.raises(error):
        world.add(task, queue=queue, transactional=True)
    assert transaction.copies == []


def test_an_unknown_queue_is_noticed_at_once(world, transaction):
    (added,) = world.add(pull_task(), queue="nowhere", transactional=True)
    assert type(added.error) is errors.UnknownQueueError
    assert transaction.copies == []


def test_an_add_within_a_transaction_that_is_not_of_it_takes_effect_at_once(world, transaction):
    world.add(pull_task())
    assert world.stored() == 1


def test_a_purge_before_the_commit_does_not_concern_its_tasks(world, transaction):
    world.add(pull_task(), pull_task(tag="t"), transactional=True)
    world.clock.advance(1)
    world.runtime.remover.purge("pull")
    world.clock.advance(1)
    transaction.commit()
    world.clock.advance(1)
    assert len(world.lease()) == 2


def test_a_delivery_that_failed_is_called_again_and_adds_no_task_twice(world, transaction):
    class Half(Passing):
        """Refuses every message but the first of each call."""

        def publish(self, messages, deadline_s):
            refused = [errors.BrokerUnavailableError("down") for _ in messages[1:]]
            return world.broker.publish(messages[:1], deadline_s) + refused

    half = World(Half(world.broker), world.ledger, world.clock, "h-")
    half.add(pull_task(), pull_task(), pull_task(tag="t"), pull_task(), transactional=True)
    for _ in range(2):
        with pytest.raises(errors.BrokerUnavailableError):
            transaction.commit()
    transaction.commit()
    assert world.stored() == 4
    world.clock.advance(1)
    assert len(set(names(world.lease()))) == 4
