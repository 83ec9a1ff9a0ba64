"""The backend of Django's Tasks framework; of the package django-tasks where Django has none of its own."""

from __future__ import annotations

import asyncio
import datetime
import pickle

import pytest
from django.core.checks import run_checks
from django.core.handlers.wsgi import WSGIHandler
from django.db import transaction
from django.test import override_settings

from gae_broker import deferred
from gae_broker.errors import UnknownQueueError
from gae_broker.settings import Settings
from gae_broker.testing.bench import TaskBench
from tests.integration.forging import KEYS
from tests.unit.deferred import callables

QUEUES = {"default": {"retry_parameters": {"min_backoff_seconds": 10}}, "mail": {}}
BACKEND = "gae_broker_adapters.django.tasks.GaeTaskBackend"


@pytest.fixture(autouse=True)
def site_tasks(django_site):
    from tests.apps.django_site import tasks as module  # noqa: PLC0415 - once its backend can be made

    module.ran.clear()
    return module


@pytest.fixture
def api():
    from gae_broker_adapters.django import tasks_api  # noqa: PLC0415 - as above

    return tasks_api


@pytest.fixture
def queues():
    with TaskBench(QUEUES, app=WSGIHandler()) as bench:
        yield bench


@pytest.fixture
def signals(api):
    """What the framework's signals told, in order."""
    told = []

    def enqueued(task_result, **_):
        told.append(("enqueued", task_result.status))

    def started(task_result, **_):
        told.append(("started", task_result.status, task_result.attempts))

    def finished(task_result, **_):
        told.append(("finished", task_result.status, [error.exception_class for error in task_result.errors]))

    connected = [
        (api.signals.task_enqueued, enqueued),
        (api.signals.task_started, started),
        (api.signals.task_finished, finished),
    ]
    for signal, receiver in connected:
        signal.connect(receiver)
    yield told
    for signal, receiver in connected:
        signal.disconnect(receiver)


def test_a_task_runs_once_with_its_arguments(site_tasks, queues, signals):
    result = site_tasks.remember.enqueue(1, what=["a", None])
    assert (result.status, result.is_finished, result.backend) == ("READY", False, "default")
    (task,) = queues.list("default")
    assert task.name == result.id
    assert [run.status for run in queues.run_all()] == [200]
    ((args, kwargs, headers),) = site_tasks.ran
    assert (args, kwargs, headers.name) == ((1,), {"what": ["a", None]}, result.id)
    assert signals == [("enqueued", "READY"), ("started", "RUNNING", 1), ("finished", "SUCCESSFUL", [])]


def test_a_coroutine_runs_in_the_queue_of_its_task(site_tasks, queues):
    asyncio.run(site_tasks.remember_later.aenqueue("x"))
    assert len(queues.list("mail")) == len(queues.list()) == 1
    queues.run_all()
    assert site_tasks.ran == ["x"]


def test_a_task_waits_until_it_is_to_run(site_tasks, queues):
    site_tasks.remember.using(run_after=queues.now() + datetime.timedelta(hours=1)).enqueue()
    assert queues.run_pending() == []
    queues.advance(minutes=61)
    assert len(queues.run_pending()) == 1
    assert len(site_tasks.ran) == 1


def test_a_task_that_raises_is_tried_again_as_queue_yaml_says(site_tasks, queues, signals):
    result = site_tasks.try_twice.enqueue("x")
    runs = queues.run_all()
    assert [run.status for run in runs] == [500, 200]
    assert (runs[1].at - runs[0].at).total_seconds() >= 10
    assert site_tasks.ran == [("x", 1, result.id), ("x", 2, result.id)]
    assert signals[1:] == [
        ("started", "RUNNING", 1),
        ("finished", "FAILED", [TimeoutError]),
        ("started", "RUNNING", 2),
        ("finished", "SUCCESSFUL", []),
    ]


def test_what_it_can_do_is_what_it_says(api, site_tasks, queues):
    backend = api.framework.task_backends["default"]
    able = (
        backend.supports_defer,
        backend.supports_async_task,
        backend.supports_get_result,
        backend.supports_priority,
    )
    assert able == (True, True, False, False)
    result = site_tasks.remember.enqueue()
    with pytest.raises(NotImplementedError):
        result.refresh()
    with pytest.raises(NotImplementedError):
        site_tasks.remember.get_result(result.id)
    with pytest.raises(api.InvalidTask, match="priority"):
        site_tasks.remember.using(priority=1)


def test_what_cannot_run_is_refused_when_it_is_enqueued(api, site_tasks, queues):
    late = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=31)
    with pytest.raises(api.InvalidTask, match="more than 30 days from now"):
        site_tasks.remember.using(run_after=late)
    with pytest.raises(api.InvalidTask, match="Queue 'other' is not valid"):
        site_tasks.remember.using(queue_name="other")
    with pytest.raises(api.InvalidTask, match="workers could not find it by that name"):
        site_tasks.renamed.enqueue()
    with pytest.raises(TypeError, match="Unsupported type"):
        site_tasks.remember.enqueue(object())
    assert queues.list() == []


def test_a_queue_that_is_not_there_is_an_error(site_tasks):
    with TaskBench({"default": {}}), pytest.raises(UnknownQueueError):
        site_tasks.remember_later.enqueue("x")


def test_the_payload_is_a_deferred_call_that_can_be_allowed_alone(site_tasks, queues, monkeypatch):
    site_tasks.remember.enqueue(1)
    (task,) = queues.list()
    call = pickle.loads(task.payload)
    assert f"{call[0].__module__}.{call[0].__name__}" == "gae_broker_adapters.django.execution.execute"
    deferred.defer(callables.record)
    callables.calls.clear()
    allowing = Settings(deferred_allow=("gae_broker_adapters.django.execution.execute",))
    monkeypatch.setattr(queues.runtime, "settings", allowing)
    assert [run.body for run in queues.run_all()] == [b"Success", b"PermanentTaskFailure"]
    assert (len(site_tasks.ran), callables.calls) == (1, [])


# ------------------------------------------------------------------------------------------ transactions


def test_a_task_is_enqueued_at_once_unless_told_otherwise(site_tasks, queues):
    with transaction.atomic():
        site_tasks.remember.enqueue()
        assert len(queues.list()) == 1


@override_settings(TASKS={"default": {"BACKEND": BACKEND, "OPTIONS": {"transactional": True}}})
def test_a_transactional_backend_joins_the_transaction(site_tasks, queues):
    with queues.transaction():
        site_tasks.remember.enqueue()
        assert queues.list() == []
    assert len(queues.list()) == 1
    site_tasks.remember.enqueue()  # outside of one, it is as any other
    assert len(queues.list()) == 2


# ------------------------------------------------------------------------------------------ checks


def checked(params, tmp_path):
    file = tmp_path / "queue.yaml"
    file.write_text("queue:\n- name: default\n- name: jobs\n  mode: pull\n")
    tasks = {"default": {"BACKEND": BACKEND, **params}}
    with override_settings(TASKS=tasks, GAE_BROKER={"signing_keys": KEYS, "queue_yaml": file}):
        return [(message.id, message.msg) for message in run_checks() if message.id.startswith("gae_broker")]


def test_queues_and_options_are_checked(tmp_path):
    assert checked({}, tmp_path) == []
    assert checked({"QUEUES": ["default", "mail", "jobs"]}, tmp_path) == [
        ("gae_broker.E006", "TASKS['default']: the queue 'jobs' is a pull queue, which runs no tasks."),
        ("gae_broker.E006", "TASKS['default']: the queue 'mail' is not in queue.yaml."),
    ]
    assert checked({"OPTIONS": {"transactoinal": True}}, tmp_path) == [
        ("gae_broker.E005", "TASKS['default']: OPTIONS has no 'transactoinal'."),
    ]
