from __future__ import annotations

import pytest

from gae_broker.domain.retry import DEFAULT, RetryParameters
from gae_broker.taskqueue import Task
from gae_broker.taskqueue.taskqueue import InvalidTaskRetryOptionsError, TaskRetryOptions

NAMES = ["min_backoff_seconds", "max_backoff_seconds", "max_doublings", "task_retry_limit", "task_age_limit"]


@pytest.mark.parametrize("name", NAMES)
def test_zero_is_allowed_and_less_is_not(name):
    assert getattr(TaskRetryOptions(**{name: 0}), name) == 0
    with pytest.raises(InvalidTaskRetryOptionsError, match=f"{name} is -1"):
        TaskRetryOptions(**{name: -1})


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_none_by_default_and_read_only(name):
    options = TaskRetryOptions()
    assert getattr(options, name) is None
    with pytest.raises(AttributeError):
        setattr(options, name, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_option_is_infinite(name, value):
    with pytest.raises(InvalidTaskRetryOptionsError, match="finite"):
        TaskRetryOptions(**{name: value})


def test_the_bounds_must_not_cross():
    with pytest.raises(InvalidTaskRetryOptionsError, match="max_backoff_seconds 1 is less than min_backoff_seconds 2"):
        TaskRetryOptions(min_backoff_seconds=2, max_backoff_seconds=1)
    TaskRetryOptions(min_backoff_seconds=2, max_backoff_seconds=2)
    TaskRetryOptions(min_backoff_seconds=4000)


def test_the_age_is_rounded_up_and_text_is_not_read():
    assert TaskRetryOptions(task_age_limit=1.01).task_age_limit == 2
    with pytest.raises(TypeError):
        TaskRetryOptions(task_age_limit="2d")


def test_unknown_options_are_a_type_error():
    with pytest.raises(TypeError, match="Invalid arguments: limit"):
        TaskRetryOptions(limit=1)


def test_repr():
    assert repr(TaskRetryOptions(task_retry_limit=3)) == (
        "TaskRetryOptions(min_backoff_seconds=None, max_backoff_seconds=None, max_doublings=None, "
        "task_retry_limit=3, task_age_limit=None)"
    )


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        (TaskRetryOptions(), None),
        (TaskRetryOptions(task_retry_limit=0), RetryParameters(limit=0)),
        (TaskRetryOptions(task_retry_limit=3.0), RetryParameters(limit=3)),
        (TaskRetryOptions(max_doublings=0), RetryParameters(max_doublings=0)),
        (
            TaskRetryOptions(min_backoff_seconds=1, max_backoff_seconds=2.5, task_age_limit=9.5),
            RetryParameters(min_backoff_s=1, max_backoff_s=2.5, age_limit_s=10),
        ),
        (TaskRetryOptions(max_backoff_seconds=3600), DEFAULT),
    ],
    ids=str,
)
def test_what_is_unset_is_the_services_default_and_not_the_queues(options, parameters):
    assert Task(retry_options=options)._content("default").retry == parameters
    assert Task(b"x", method="PULL", retry_options=options)._content("pull").retry is None


@pytest.mark.parametrize("name", ["task_retry_limit", "max_doublings"])
def test_counts_are_whole(name):
    with pytest.raises(InvalidTaskRetryOptionsError, match=f"{name} is 1.5"):
        Task(retry_options=TaskRetryOptions(**{name: 1.5}))._content("default")


def test_what_is_no_options_is_told_what_it_should_be():
    with pytest.raises(InvalidTaskRetryOptionsError, match=r"retry_options is \{.*\}; it must be TaskRetryOptions"):
        Task(retry_options={"task_retry_limit": 3})._content("default")
