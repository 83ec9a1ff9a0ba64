"""Queue: names, identity, and what each method does end to end on the embedded broker."""

from __future__ import annotations

import copy

import pytest

from gae_broker import taskqueue as tq
from gae_broker.errors import UnknownTaskError
from gae_broker.taskqueue import Queue, Task


def pull(payload: bytes | str = b"x", **arguments) -> Task:
    return Task(payload, method="PULL", **arguments)


@pytest.mark.parametrize("name", ["default", "a", "A-9", "x" * 100, b"default"])
def test_names(name):
    assert Queue(name).name == (name.decode() if isinstance(name, bytes) else name)


@pytest.mark.parametrize("name", ["", "a_b", "a b", "x" * 101, "a\n", "é", b"\xff", b""])
def test_names_that_no_queue_can_have(name):
    with pytest.raises(tq.InvalidQueueNameError, match=r"a-zA-Z0-9-\]"):
        Queue(name)


@pytest.mark.parametrize("name", [None, 5, ["default"]])
def test_names_that_are_no_strings(name):
    with pytest.raises(TypeError):
        Queue(name)


def test_identity():
    assert Queue() == Queue("default")
    assert Queue("a") != Queue("b")
    assert Queue() != "default"
    assert repr(Queue()) == "Queue<name='default'>"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Queue())


# ------------------------------------------------------------------------------------------------- add


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_adding_nothing_is_an_empty_list(world, nothing):
    assert Queue().add(nothing) == []


def test_an_empty_iterable_is_an_empty_list_too(world):
    assert Queue().add(iter(())) == []
    assert Queue().add_async([]).get_result() == []


def test_a_task_is_answered_by_itself(world):
    task = Task()
    assert Queue("push").add(task) is task
    assert (task.name, task.queue_name, task.was_enqueued) == ("auto-0001", "push", True)


@pytest.mark.parametrize("make", [list, tuple, iter])
def test_an_iterable_is_answered_by_a_new_list(world, make):
    tasks = [Task(name="b"), Task(), Task(name="a")]
    given = make(tasks)
    added = Queue().add(given)
    assert added == tasks
    assert added is not given
    assert [task.name for task in tasks] == ["b", "auto-0001", "a"]


def test_add_makes_a_task_and_adds_it(world):
    task = tq.add("x", name="n", url="/u", queue_name="push", countdown=5)
    assert (task.queue_name, task.name, task.url, task.payload) == ("push", "n", "/u", b"x")
    with pytest.raises(TypeError, match="Invalid arguments: rpc"):
        tq.add(rpc=tq.create_rpc())
    with pytest.raises(TypeError):
        tq.add("payload", "second positional")


def test_the_default_url_is_the_queues(world):
    Queue("push").add([Task(name="a"), Task(name="b", method="GET", params={"x": 1}), Task(name="c", url="/c")])
    urls = {copy.name: copy.content.url for copy in world.runtime.browser.tasks("push", 10)}
    assert urls == {"a": "/_ah/queue/push", "b": "/_ah/queue/push?x=1", "c": "/c"}


def test_an_unknown_queue_is_found_by_the_service(world):
    rpc = Queue("nope").add_async(Task())
    rpc.check_success()
    with pytest.raises(tq.UnknownQueueError, match="nope"):
        rpc.get_result()
    task = Task()
    with pytest.raises(tq.UnknownQueueError):
        task.add("nope")
    assert not task.was_enqueued


def test_the_wrong_mode_is_the_whole_calls_error(world):
    rpc = Queue("pull").add_async(Task())
    with pytest.raises(tq.InvalidQueueModeError):
        rpc.check_success()
    with pytest.raises(tq.InvalidQueueModeError):
        Queue("push").add([pull()])


def test_a_taken_name(world):
    Queue().add(Task(name="n"))
    with pytest.raises(tq.TaskAlreadyExistsError, match="'n'"):
        Queue().add(Task(name="n"))
    Queue().delete_tasks_by_name("n")
    with pytest.raises(tq.TombstonedTaskError, match="'n'"):
        Queue().add(Task(name="n"))
    Queue("push").add(Task(name="n"))


def test_a_taken_name_concerns_its_task_alone(world):
    Queue().add(Task(name="taken"))
    tasks = [Task(name="a"), Task(name="taken"), Task(name="b")]
    with pytest.raises(tq.TaskAlreadyExistsError):
        Queue().add(tasks)
    assert [task.was_enqueued for task in tasks] == [True, False, True]


@pytest.mark.parametrize("countdown", [float("nan"), float("-inf")])
def test_an_eta_that_is_no_moment_is_found_before_the_call(world, countdown):
    with pytest.raises(tq.InvalidEtaError, match="no moment"):
        Queue().add_async(Task(countdown=countdown))


def test_a_negative_eta_skips_the_others(world):
    tasks = [Task(), Task(countdown=-(10**10))]
    with pytest.raises(tq.InvalidEtaError):
        Queue().add(tasks)
    assert [task.was_enqueued for task in tasks] == [False, False]


def test_a_pull_task_needs_bytes(world):
    with pytest.raises(tq.BadTaskStateError, match="Pull task must have a payload"):
        Queue("pull").add(pull(0))


# ---------------------------------------------------------------------------------------------- delete


def test_delete_marks_what_there_was(world):
    known, unknown = Queue("pull").add(pull(name="known")), Task(name="unknown")
    assert Queue("pull").delete_tasks([known, unknown]) == [known, unknown]
    assert (known.was_deleted, unknown.was_deleted) == (True, False)
    again = Task(name="known")
    assert Queue("pull").delete_tasks(again) is again
    assert not again.was_deleted


@pytest.mark.parametrize(
    ("tasks", "error", "text"),
    [
        ([Task(name="a"), Task()], tq.BadTaskStateError, "without a name"),
        ([Task(name="a"), Task(name="a")], tq.DuplicateTaskNameError, "'a' is used twice"),
    ],
)
def test_delete_refuses(world, tasks, error, text):
    with pytest.raises(error, match=text):
        Queue().delete_tasks_async(tasks)


def test_what_was_deleted_cannot_be_deleted_again(world):
    task = Queue("pull").add(pull())
    Queue("pull").delete_tasks(task)
    with pytest.raises(tq.BadTaskStateError, match="deleted already"):
        Queue("pull").delete_tasks(task)


def test_delete_by_name(world):
    Queue("pull").add([pull(name=name) for name in "abc"])
    one = Queue("pull").delete_tasks_by_name("a")
    assert (one.name, one.was_deleted) == ("a", True)
    many = Queue("pull").delete_tasks_by_name(name for name in ("b", "z", b"c"))
    assert [(task.name, task.was_deleted) for task in many] == [("b", True), ("z", False), ("c", True)]
    assert Queue("pull").delete_tasks_by_name([]) == []
    with pytest.raises(tq.InvalidTaskNameError):
        Queue("pull").delete_tasks_by_name_async(["ok", "not ok"])
    with pytest.raises(tq.BadTaskStateError):
        Queue("pull").delete_tasks_by_name("")


def test_delete_in_an_unknown_queue(world):
    rpc = Queue("nope").delete_tasks_async(Task(name="a"))
    rpc.check_success()
    with pytest.raises(tq.UnknownQueueError, match="nope"):
        rpc.get_result()
    assert Queue("nope").delete_tasks([]) == []


def test_purge(world, clock):
    Queue("pull").add([pull(), pull(tag="t")])
    clock.advance(1)
    assert Queue("pull").purge() is None
    assert Queue("pull").lease_tasks(1, 10) == []
    with pytest.raises(tq.UnknownQueueError):
        Queue("nope").purge()


# ----------------------------------------------------------------------------------------------- lease


def test_a_leased_task(world, clock):
    Queue("pull").add(pull("é", name="n", tag="t", countdown=-1))
    (task,) = Queue("pull").lease_tasks(60.5, 5)
    expected = {
        "name": "n",
        "method": "PULL",
        "payload": "é".encode(),
        "tag": "t",
        "url": "",
        "queue_name": "pull",
        "was_enqueued": True,
        "was_deleted": False,
        "retry_count": 1,
        "_eta_usec": clock.us + 60_500_000,
    }
    assert {name: getattr(task, name) for name in expected} == expected
    with pytest.raises(tq.BadTaskStateError, match="in queue 'pull' already"):
        Queue("pull").add(task)
    clock.advance(61)
    assert Queue("pull").lease_tasks(1, 5)[0].retry_count == 2


def test_leasing_by_tag(world, clock):
    for number, tag in enumerate(["a", "b", "a", "", None]):
        Queue("pull").add(pull(name=f"n{number}", tag=tag, countdown=number - 10))
    assert [task.name for task in Queue("pull").lease_tasks_by_tag(60, 5, "b")] == ["n1"]
    assert [task.name for task in Queue("pull").lease_tasks_by_tag(60, 5, b"zzz")] == []
    assert [task.tag for task in Queue("pull").lease_tasks_by_tag(60, 5)] == ["a", "a"]
    assert [task.tag for task in Queue("pull").lease_tasks_by_tag(60, 5, tag="")] == [None, None]


def test_modifying_a_lease(world, clock):
    Queue("pull").add(pull(countdown=-1))
    (task,) = Queue("pull").lease_tasks(60, 5)
    stale = copy.copy(task)
    assert Queue("pull").modify_task_lease(task, 120) is None
    assert task._eta_usec == clock.us + 120_000_000
    with pytest.raises(tq.TaskLeaseExpiredError):
        Queue("pull").modify_task_lease(stale, 1)
    Queue("pull").modify_task_lease(task, 0)
    clock.advance(1)
    assert [again.name for again in Queue("pull").lease_tasks(60, 5)] == [task.name]


@pytest.mark.parametrize(
    ("task", "error"),
    [(Task(name="nope"), UnknownTaskError), (Task(), tq.BadTaskStateError)],
)
def test_modifying_what_is_not_there(world, task, error):
    with pytest.raises(error):
        Queue("pull").modify_task_lease(task, 1)


@pytest.mark.parametrize(
    ("seconds", "error", "text"),
    [
        ("60", TypeError, "'60'"),
        (None, TypeError, "None"),
        (-0.001, tq.InvalidLeaseTimeError, "-0.001"),
        (604_800.5, tq.InvalidLeaseTimeError, "604800 is allowed"),
        (float("nan"), tq.InvalidLeaseTimeError, "NaN"),
    ],
)
def test_lease_times(world, seconds, error, text):
    for call in (
        lambda: Queue("pull").lease_tasks_async(seconds, 1),
        lambda: Queue("pull").lease_tasks_by_tag_async(seconds, 1),
        lambda: Queue("pull").modify_task_lease(Task(name="a"), seconds),
    ):
        with pytest.raises(error, match=text):
            call()


@pytest.mark.parametrize(
    ("count", "error", "text"),
    [
        ("5", TypeError, "'5'"),
        (5.0, TypeError, "integer"),
        (0, tq.InvalidMaxTasksError, "positive"),
        (-1, tq.InvalidMaxTasksError, "-1"),
        (1001, tq.InvalidMaxTasksError, "at most 1000"),
    ],
)
def test_numbers_of_tasks(world, count, error, text):
    with pytest.raises(error, match=text):
        Queue("pull").lease_tasks_async(1, count)
    with pytest.raises(error, match=text):
        Queue("pull").lease_tasks_by_tag_async(1, count)


@pytest.mark.parametrize("tag", [5, b"\xff", ["t"]])
def test_tags_to_lease_by_are_text(world, tag):
    with pytest.raises(tq.InvalidTagError, match="not text"):
        Queue("pull").lease_tasks_by_tag_async(1, 1, tag)


def test_the_deadline_is_looked_at_first_then_the_time_then_the_number(world):
    with pytest.raises(tq.InvalidDeadlineError):
        Queue("pull").lease_tasks(-1, 0, deadline=0)
    with pytest.raises(tq.InvalidLeaseTimeError):
        Queue("pull").lease_tasks(-1, 0)
    with pytest.raises(TypeError, match="numeric"):
        Queue("pull").lease_tasks(1, 1, deadline=None)


def test_leasing_where_one_cannot(world):
    for call in (Queue("push").lease_tasks, Queue("push").lease_tasks_by_tag):
        with pytest.raises(tq.InvalidQueueModeError):
            call(1, 1)
    with pytest.raises(tq.UnknownQueueError):
        Queue("nope").lease_tasks(1, 1)
    with pytest.raises(tq.InvalidQueueModeError):
        Queue("push").modify_task_lease(Task(name="a"), 1)
