"""defer: every option, and calls too large for a task."""

from __future__ import annotations

import datetime as dt
import inspect
import pickle

import pytest

from gae_broker import deferred
from gae_broker import taskqueue as tq
from gae_broker.engine import runtime
from gae_broker.testing.transactions import transaction
from tests.unit.deferred import callables
from tests.unit.deferred.callables import record
from tests.unit.engine.worlds import World
from tests.unit.taskqueue.seams import RecordingLedger, UnsureBroker

LARGE = "x" * 200_000


@pytest.fixture(autouse=True)
def forget_calls():
    callables.calls.clear()


def stored(world, queue: str = "default"):
    return world.runtime.browser.tasks(queue, 10)


def test_a_suite_may_replace_the_task_of_the_modules_taskqueue(world, monkeypatch):
    """As on App Engine, whose module looked it up there."""
    made, make = [], tq.Task
    monkeypatch.setattr(
        deferred.taskqueue, "Task", lambda *given, **options: made.append(make(*given, **options)) or made[0]
    )
    assert deferred.defer(record, 1) is made[0]
    assert made[0].was_enqueued


def test_what_is_enqueued(world):
    task = deferred.defer(record, 1, key="value")
    assert task.was_enqueued
    assert (task.url, task.method, task.queue_name) == ("/_ah/queue/deferred", "POST", "default")
    assert task.headers["Content-Type"] == "application/octet-stream"
    assert pickle.loads(task.payload) == (record, (1,), {"key": "value"})
    assert [copy.content.payload for copy in stored(world)] == [task.payload]


def test_every_option(world, clock):
    options = tq.TaskRetryOptions(task_retry_limit=3)
    task = deferred.defer(
        record,
        _countdown=60,
        _name="n",
        _target="v1",
        _retry_options=options,
        _url="/_ah/queue/deferred_mine",
        _queue="push",
        _headers={"X-Mine": "1", "Content-Type": "application/x-mine"},
    )
    assert (task.name, task.target, task.retry_options, task.queue_name) == ("n", "v1", options, "push")
    assert task.url == "/_ah/queue/deferred_mine"
    assert task._eta_usec == clock.us + 60_000_000
    assert (task.headers["X-Mine"], task.headers["Content-Type"]) == ("1", "application/x-mine")
    assert pickle.loads(task.payload) == (record, (), {})
    eta = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert deferred.defer(record, _eta=eta).eta == eta
    assert deferred.defer(record, _url=None).on_queue_url


def test_a_content_type_in_another_case_replaces_the_default(world):
    headers = deferred.defer(record, _headers={"content-type": "a/b"}).headers
    assert [value for name, value in headers.items() if name.lower() == "content-type"] == ["a/b"]


def test_any_other_underscore_name_goes_to_the_call(world):
    task = deferred.defer(record, _x=1, _size_check=False, transactional=True, name="n", countdown=5)
    assert pickle.loads(task.payload)[2] == {
        "_x": 1,
        "_size_check": False,
        "transactional": True,
        "name": "n",
        "countdown": 5,
    }
    assert task.name != "n"


def test_errors_of_the_task_are_raised(world):
    with pytest.raises(tq.InvalidTaskNameError):
        deferred.defer(record, _name="not ok")
    with pytest.raises(tq.UnknownQueueError):
        deferred.defer(record, _queue="nope")
    deferred.defer(record, _name="once")
    with pytest.raises(tq.TaskAlreadyExistsError):
        deferred.defer(record, _name="once")


def test_a_transactional_call_comes_with_the_commit(world):
    with transaction():
        deferred.defer(record, _transactional=True)
        assert stored(world) == []
    assert len(stored(world)) == 1
    with pytest.raises(tq.BadTransactionStateError):
        deferred.defer(record, _transactional=True)


# --------------------------------------------------------------------------------------- claim check


def key_of(task: tq.Task) -> str:
    function, (key,), kwargs = pickle.loads(task.payload)
    assert (function, kwargs) == (deferred.run_from_datastore, {})
    return key


def test_a_large_call_is_stored_and_its_task_is_small(world):
    task = deferred.defer(record, LARGE, _name="n", _countdown=5, _queue="push")
    assert (task.name, task.queue_name) == ("n", "push")
    assert task.size < 500
    payload = world.runtime.payloads.fetch(key_of(task))
    assert pickle.loads(payload) == (record, (LARGE,), {})
    assert deferred.run(task.payload) is None
    assert callables.calls == [((LARGE,), {})]
    assert world.runtime.payloads.fetch(key_of(task)) is None


def test_a_call_that_only_the_service_finds_too_large(world):
    # The task's own size is below the limit, its entry in the request is not.
    size = tq.Task(b"", headers={"Content-Type": "application/octet-stream"}, url="/_ah/queue/deferred").size
    overhead = len(deferred.serialize(record, "x" * 90_000)) - 90_000
    text = "x" * (tq.MAX_TASK_SIZE_BYTES - size - overhead)
    task = deferred.defer(record, text)
    assert world.runtime.payloads.fetch(key_of(task)) is not None


def test_a_stored_call_is_forgotten_when_it_failed_for_good_and_kept_for_a_retry(world):
    for function, error, kept in (
        (callables.fail, ZeroDivisionError, True),
        (callables.fail_once, deferred.SingularTaskFailure, True),
        (callables.fail_permanently, deferred.PermanentTaskFailure, False),
    ):
        key = deferred.deferred._DeferredTaskEntity(deferred.serialize(function)).put()
        with pytest.raises(error):
            deferred.run_from_datastore(key)
        assert (world.runtime.payloads.fetch(key) is not None) is kept
    key = deferred.deferred._DeferredTaskEntity(b"no pickle").put()
    with pytest.raises(deferred.PermanentTaskFailure):
        deferred.run_from_datastore(key)
    assert world.runtime.payloads.fetch(key) is None


def test_a_stored_call_that_is_gone_fails_for_good(world):
    with pytest.raises(deferred.PermanentTaskFailure, match="nope"):
        deferred.run_from_datastore("nope")


@pytest.fixture
def recorded(world, clock):
    """A world whose ledger tells which payloads it keeps."""
    ledger = RecordingLedger(world.ledger)
    with runtime.using(World(world.broker, ledger, clock).runtime):
        yield ledger


def test_what_was_stored_for_a_task_that_is_refused_is_forgotten(recorded):
    first = deferred.defer(record, LARGE, _name="n")
    assert recorded.kept == {key_of(first)}
    with pytest.raises(tq.TaskAlreadyExistsError):
        deferred.defer(record, LARGE, _name="n")
    assert recorded.kept == {key_of(first)}


def test_what_was_stored_for_a_task_that_may_be_enqueued_is_kept(recorded, world, clock):
    unsure = World(UnsureBroker(world.broker), recorded, clock)
    with runtime.using(unsure.runtime), pytest.raises(tq.TransientError):
        deferred.defer(record, LARGE)
    (copy,) = stored(world)
    assert recorded.kept == {pickle.loads(copy.content.payload)[1][0]}


def test_a_large_transactional_call_comes_with_the_commit_too(world):
    with transaction():
        deferred.defer(record, LARGE, _transactional=True)
        assert stored(world) == []
    assert len(stored(world)) == 1


def test_the_stand_in_for_app_engines_entity(world):
    entity_type = deferred.deferred._DeferredTaskEntity
    entity = entity_type(data=b"x")
    assert entity.key() is None
    entity.delete()
    key = entity.put()
    assert entity.key() == key
    assert entity_type.get(key).data == b"x"
    entity.delete()
    assert entity_type.get(key) is None


def test_the_signature():
    assert list(inspect.signature(deferred.defer).parameters)[:2] == ["obj", "args"]
