"""What is refused before a call, in which order, and which of a call's errors is raised."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker import taskqueue as tq
from gae_broker.engine.enqueue import Added
from gae_broker.errors import ClaimPendingError
from gae_broker.taskqueue import Queue, Task, adding
from gae_broker.taskqueue.taskqueue import TransactionalRequestTooLargeError
from gae_broker.testing.transactions import transaction


def push(count: int) -> list[Task]:
    return [Task(name=f"p{number}") for number in range(count)]


PULL = Task(b"x", method="PULL")


@pytest.fixture
def enqueued(world):
    return Queue("push").add(Task(name="enqueued"))


def test_kinds_are_looked_at_before_the_number(world, enqueued):
    with pytest.raises(tq.InvalidTaskError, match="push and pull") as raised:
        Queue().add_async([*push(101), PULL, enqueued])
    assert raised.type is tq.InvalidTaskError


def test_the_number_before_the_names(world, enqueued):
    with pytest.raises(tq.TooManyTasksError, match="103 tasks"):
        Queue().add_async([*push(101), Task(name="p0"), enqueued])


def test_names_before_states_task_by_task(world, enqueued):
    with pytest.raises(tq.DuplicateTaskNameError, match="'a'"):
        Queue().add_async([Task(name="a"), Task(name="a"), enqueued])
    with pytest.raises(tq.BadTaskStateError, match="in queue 'push'"):
        Queue().add_async([Task(name="a"), enqueued, Task(name="a")])
    with pytest.raises(tq.DuplicateTaskNameError):
        Queue().add_async([Task(name="enqueued"), enqueued])


def test_the_same_unnamed_task_twice_is_no_duplicate_before_the_call(world):
    task = Task()
    Queue().add([task, task])
    assert task.was_enqueued


def test_nothing_is_marked_or_added_by_a_call_that_is_refused(world, enqueued):
    tasks = [Task(name="new"), Task(), enqueued]
    with pytest.raises(tq.BadTaskStateError):
        Queue().add(tasks)
    assert [task.was_enqueued for task in tasks] == [False, False, True]
    assert world.stored("default") == 0


def test_one_hundred_tasks_are_allowed(world):
    assert len(Queue().add([Task() for _ in range(100)])) == 100


def test_transactional_outside_of_a_transaction(world, enqueued):
    for task in (Task(), Task(name="n")):
        with pytest.raises(tq.BadTransactionStateError, match="outside of a transaction"):
            Queue().add_async(task, transactional=True)
    with pytest.raises(tq.BadTaskStateError):
        Queue().add_async(enqueued, transactional=True)


def test_transactional_tasks_have_no_names(world):
    with transaction(), pytest.raises(tq.InvalidTaskNameError, match="'n'"):
        Queue().add_async([Task(), Task(name="n")], transactional=True)


def test_transactional_tasks_are_marked_at_once_and_come_with_the_commit(world, clock):
    with transaction():
        task = Queue("pull").add(Task(b"x", method="PULL"), transactional=True)
        assert task.was_enqueued
        assert task.name
        clock.advance(1)
        assert Queue("pull").lease_tasks(1, 1) == []
    clock.advance(1)
    assert [leased.name for leased in Queue("pull").lease_tasks(1, 1)] == [task.name]


def test_a_rollback_drops_the_tasks_and_leaves_their_marks(world, clock):
    with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012
        task = tq.add(b"x", method="PULL", queue_name="pull", transactional=True)
        other = tq.add(b"y", method="PULL", queue_name="pull")
        raise ZeroDivisionError
    clock.advance(1)
    assert task.was_enqueued
    assert [leased.name for leased in Queue("pull").lease_tasks(1, 5)] == [other.name]


def test_a_transaction_takes_five_tasks(world):
    with transaction():
        Queue().add([Task() for _ in range(4)], transactional=True)
        Queue().add(Task(), transactional=True)
        rpc = Queue().add_async(Task(), transactional=True)
        with pytest.raises(tq.DatastoreError, match="maximum allowed 5"):
            rpc.get_result()


def test_a_transactional_call_is_at_most_a_mebibyte(world):
    tasks = [Task(b"x" * 1_048_000, method="PULL"), Task(b"x" * 1000, method="PULL")]
    with transaction(), pytest.raises(TransactionalRequestTooLargeError, match="1048576"):
        Queue("pull").add_async(tasks, transactional=True)


ANSWERS = {
    "ok": None,
    "skipped": None,
    "exists": tq.TaskAlreadyExistsError,
    "tombstoned": tq.TombstonedTaskError,
    "unknown": tq.UnknownQueueError,
    "large": tq.TaskTooLargeError,
    "transient": tq.TransientError,
    "pending": ClaimPendingError,
}
TAKEN = {"exists", "tombstoned"}


@given(st.lists(st.sampled_from(sorted(ANSWERS)), max_size=8))
def test_the_first_grave_error_is_raised_else_the_last_taken_name(kinds):
    tasks = [Task() for _ in kinds]
    answers = [
        Added(f"n{number}" if kind == "ok" else None, error and error(number), skipped=kind == "skipped")
        for number, (kind, error) in enumerate((kind, ANSWERS[kind]) for kind in kinds)
    ]
    grave = [number for number, kind in enumerate(kinds) if kind not in TAKEN | {"ok", "skipped"}]
    taken = [number for number, kind in enumerate(kinds) if kind in TAKEN]
    expected = grave[:1] or taken[-1:]
    if expected:
        with pytest.raises(ANSWERS[kinds[expected[0]]]) as raised:
            adding.settle("q", tasks, answers)
        assert [raised.value.args[0]] == expected
    else:
        adding.settle("q", tasks, answers)
    for task, kind, number in zip(tasks, kinds, range(len(kinds)), strict=True):
        assert task.was_enqueued == (kind == "ok")
        assert (task.name, task.queue_name) == ((f"n{number}", "q") if kind == "ok" else (None, None))


# ---- which tasks of a call were not enqueued


def test_the_error_tells_which_tasks_of_a_call_were_not_enqueued_and_why(world):
    Queue().add(Task(name="taken"))
    tasks = [Task(name="new"), Task(name="taken"), Task()]
    with pytest.raises(tq.TaskAlreadyExistsError) as raised:
        Queue().add(tasks)
    assert dict(raised.value.failures) == {1: raised.value}
    assert [task.was_enqueued for task in tasks] == [True, False, True]
    (note,) = raised.value.__notes__
    assert note.startswith("1 of the call's 3 tasks were not enqueued, counted from 0: 1;")


def test_what_was_skipped_failed_for_the_reason_of_the_call(world):
    with pytest.raises(tq.InvalidEtaError) as raised:
        Queue("push").add_async([Task(), Task(eta=datetime(1969, 1, 1, tzinfo=UTC))]).get_result()
    assert dict(raised.value.failures) == dict.fromkeys([0, 1], raised.value)


def test_an_error_of_a_single_task_tells_nothing_more(world):
    Queue().add(Task(name="taken"))
    with pytest.raises(tq.TaskAlreadyExistsError) as raised:
        Queue().add(Task(name="taken"))
    assert not raised.value.failures
    assert not hasattr(raised.value, "__notes__")


def test_a_long_list_of_failures_is_cut_in_the_text_only():
    tasks = [Task() for _ in range(30)]
    error = ClaimPendingError("later")
    with pytest.raises(ClaimPendingError) as raised:
        adding.settle("default", tasks, [Added(None, error)] * 30)
    assert len(raised.value.failures) == 30
    assert "0, 1, 2, " in raised.value.__notes__[0]
    assert "19 and 10 more" in raised.value.__notes__[0]


# ---- a call that is waited for needs no other thread


def test_a_synchronous_add_starts_no_thread(world):
    before = threading.active_count()
    Queue("push").add([Task(), Task()])
    Task().add("push")
    assert world.stored("push") == 3
    assert threading.active_count() == before
    Queue("push").add_async(Task()).get_result()
    assert threading.active_count() > before


def test_whoever_replaces_add_async_replaces_add(world):
    class Counting(Queue):
        calls = 0

        def add_async(self, task, transactional=False, rpc=None):
            type(self).calls += 1
            return super().add_async(task, transactional, rpc)

    assert Counting("push").add(Task()).was_enqueued
    assert Counting.calls == 1
