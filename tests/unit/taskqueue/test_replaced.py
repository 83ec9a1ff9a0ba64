"""What programs and their tests put in the place of a part of the API is what the rest of the API calls."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest import mock

import pytest

from gae_broker import deferred, taskqueue
from gae_broker.taskqueue import Queue, Task
from gae_broker.taskqueue import taskqueue as api

WHEN = 1_700_000_000.0


@pytest.mark.parametrize("name", ["add", "delete_tasks", "delete_tasks_by_name"])
def test_a_queues_synchronous_form_calls_its_replaced_asynchronous_one(name):
    queue = Queue("any")
    replacement = mock.Mock()
    setattr(queue, f"{name}_async", replacement)
    assert getattr(queue, name)("what") is replacement.return_value.get_result.return_value
    assert replacement.call_args.args[0] == "what"


def test_adding_a_task_goes_through_its_own_add_async():
    with mock.patch.object(Task, "add_async") as add_async:
        taskqueue.add(url="/x", queue_name="any")
    add_async.assert_called_once_with("any", False)


def test_adding_a_task_goes_through_the_queues_add_async_and_not_its_add(world):
    with mock.patch.object(Queue, "add") as add:
        assert taskqueue.add(url="/x").was_enqueued
    add.assert_not_called()
    with mock.patch.object(Queue, "add_async") as add_async:
        taskqueue.add(url="/x")
    add_async.assert_called_once_with(mock.ANY, False, None)


def test_a_replaced_queue_class_is_the_one_that_tasks_go_to():
    with mock.patch("gae_broker.taskqueue.taskqueue.Queue") as queue_class:
        taskqueue.add(url="/x", queue_name="any")
    queue_class.assert_called_once_with("any")
    queue_class.return_value.add_async.assert_called_once_with(mock.ANY, False, None)


def test_a_replaced_task_class_is_the_one_that_calls_are_deferred_in():
    with mock.patch("gae_broker.taskqueue.Task") as task_class:
        deferred.defer(print, "later", _countdown=3, _queue="any")
    assert deferred.run(task_class.call_args.kwargs["payload"]) is None
    assert task_class.call_args.kwargs["countdown"] == 3
    task_class.return_value.add.assert_called_once_with("any", transactional=False)


def test_the_time_of_tasks_can_be_stopped_where_app_engines_own_tests_stop_it(monkeypatch):
    determine = Task._Task__determine_eta_posix

    def stopped(eta, countdown):
        return determine(eta, countdown, current_time=lambda: WHEN)

    monkeypatch.setattr(Task, "_Task__determine_eta_posix", staticmethod(stopped))
    assert Task(countdown="15").eta == datetime.fromtimestamp(WHEN + 15, UTC)


def test_a_payload_is_converted_into_a_dict_of_headers():
    headers: dict[str, str] = {}
    assert Task._Task__convert_payload("é", headers) == b"\xc3\xa9"
    assert headers == {"content-type": "text/plain; charset=utf-8"}


def test_a_url_is_parsed_by_its_private_name():
    assert api._parse_relative_url("/work?a=b") == ("/work", "a=b")
    for wrong in ("", "work", "//host/work", "/work#part"):
        with pytest.raises(api._RelativeUrlError):
            api._parse_relative_url(wrong)
    assert api._flatten_params({"a": (1, "b")}) == [(b"a", b"1"), (b"a", b"b")]
