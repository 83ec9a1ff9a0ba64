"""The drop-in modules offer App Engine's names, signatures, ancestry and constants; a change here is a break.

Names, parents and values are those of ``appengine-python-standard`` 3.1.0, written down from a run of it.
"""

from __future__ import annotations

import datetime as dt
import inspect
import subprocess
import sys

import pytest

from gae_broker import deferred, errors, taskqueue
from gae_broker.deferred import deferred as deferred_module
from gae_broker.taskqueue import taskqueue as taskqueue_module

ANCESTRY = {
    "Error": "Exception",
    "UnknownQueueError": "Error",
    "TransientError": "Error",
    "InternalError": "Error",
    "PermissionDeniedError": "Error",
    "BadTransactionStateError": "Error",
    "InvalidTaskRetryOptionsError": "Error",
    "InvalidMaxTasksError": "Error",
    "InvalidQueueModeError": "Error",
    "QueuePausedError": "Error",
    "InvalidDispatchDeadlineError": "Error",
    "BadTaskStateError": "Error",
    "DuplicateTaskNameError": "Error",
    "TooManyTasksError": "Error",
    "DatastoreError": "Error",
    "InvalidLeaseTimeError": "Error",
    "InvalidDeadlineError": "Error",
    "TaskLeaseExpiredError": "Error",
    "InvalidTagError": "Error",
    "InvalidQueueError": "Error",
    "InvalidQueueNameError": "InvalidQueueError",
    "InvalidTaskError": "Error",
    "InvalidTaskNameError": "InvalidTaskError",
    "TombstonedTaskError": "InvalidTaskError",
    "InvalidEtaError": "InvalidTaskError",
    "TaskAlreadyExistsError": "InvalidTaskError",
    "InvalidUrlError": "InvalidTaskError",
    "TaskTooLargeError": "InvalidTaskError",
    "TransactionalRequestTooLargeError": "TaskTooLargeError",
}

CONSTANTS = {
    "MAX_QUEUE_NAME_LENGTH": 100,
    "MAX_TASK_NAME_LENGTH": 500,
    "MAX_PULL_TASK_SIZE_BYTES": 1048576,
    "MAX_PUSH_TASK_SIZE_BYTES": 102400,
    "MAX_TASK_SIZE_BYTES": 102400,
    "MAX_TASKS_PER_ADD": 100,
    "MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES": 1048576,
    "MAX_URL_LENGTH": 2083,
    "MAX_TASKS_PER_LEASE": 1000,
    "MAX_TAG_LENGTH": 500,
    "MAX_LEASE_SECONDS": 604800,
    "MAX_DISPATCH_DEADLINE": dt.timedelta(hours=24),
    "MIN_DISPATCH_DEADLINE": dt.timedelta(seconds=15),
}

OTHERS = {
    "BadTransactionState",
    "DEFAULT_APP_VERSION",
    "Queue",
    "QueueStatistics",
    "Task",
    "TaskRetryOptions",
    "add",
    "create_rpc",
}

NOT_IN_THE_PACKAGES_ALL = {
    "InvalidTaskRetryOptionsError",
    "MAX_TAG_LENGTH",
    "MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES",
    "MAX_DISPATCH_DEADLINE",
    "MIN_DISPATCH_DEADLINE",
}

PRIVATE = {
    "_DEFAULT_QUEUE": "default",
    "_DEFAULT_QUEUE_PATH": "/_ah/queue",
    "_MAX_COUNTDOWN_SECONDS": 30 * 24 * 3600,
    "_QUEUE_NAME_PATTERN": "^[a-zA-Z0-9-]{1,100}$",
    "_TASK_NAME_PATTERN": "^[a-zA-Z0-9_-]{1,500}$",
}

# Parameters and their defaults, as App Engine's; keywords that App Engine took as **kwargs stand by name.
SIGNATURES = {
    "create_rpc": "(deadline=None, callback=None)",
    "add": "(payload=None, *, queue_name='default', transactional=False, **arguments)",
    "Task": (
        "(payload=None, *, countdown=None, eta=None, headers=None, method='POST', name=None, params=None, "
        "retry_options=None, tag=None, target=None, url='', dispatch_deadline_usec=None, _size_check=True, **unknown)"
    ),
    "TaskRetryOptions": (
        "(*, min_backoff_seconds=None, max_backoff_seconds=None, task_age_limit=None, max_doublings=None, "
        "task_retry_limit=None, **unknown)"
    ),
    "Queue": "(name='default')",
    "QueueStatistics": (
        "(queue, tasks, oldest_eta_usec=None, executed_last_minute=None, in_flight=None, enforced_rate=None)"
    ),
    "Task.add": "(self, queue_name='default', transactional=False)",
    "Task.add_async": "(self, queue_name='default', transactional=False, rpc=None)",
    "Task.extract_params": "(self)",
    "Queue.add": "(self, task, transactional=False)",
    "Queue.add_async": "(self, task, transactional=False, rpc=None)",
    "Queue.delete_tasks": "(self, task)",
    "Queue.delete_tasks_async": "(self, task, rpc=None)",
    "Queue.delete_tasks_by_name": "(self, task_name)",
    "Queue.delete_tasks_by_name_async": "(self, task_name, rpc=None)",
    "Queue.fetch_statistics": "(self, deadline=10)",
    "Queue.fetch_statistics_async": "(self, rpc=None)",
    "Queue.lease_tasks": "(self, lease_seconds, max_tasks, deadline=10)",
    "Queue.lease_tasks_async": "(self, lease_seconds, max_tasks, rpc=None)",
    "Queue.lease_tasks_by_tag": "(self, lease_seconds, max_tasks, tag=None, deadline=10)",
    "Queue.lease_tasks_by_tag_async": "(self, lease_seconds, max_tasks, tag=None, rpc=None)",
    "Queue.modify_task_lease": "(self, task, lease_seconds)",
    "Queue.purge": "(self)",
    "QueueStatistics.fetch": "(queue_or_queues, deadline=10)",
    "QueueStatistics.fetch_async": "(queue_or_queues, rpc=None)",
}

DEFERRED_SIGNATURES = {
    "defer": (
        "(obj, *args, _countdown=None, _eta=None, _headers=None, _name=None, _target=None, _transactional=False, "
        "_url='/_ah/queue/deferred', _retry_options=None, _queue='default', **kwargs)"
    ),
    "invoke_member": "(obj, membername, *args, **kwargs)",
    "run": "(data)",
    "run_from_datastore": "(key)",
    "serialize": "(obj, *args, **kwargs)",
    "set_log_level": "(log_level)",
    "Handler": "()",
    "Handler.post": "(self, environ)",
    "Handler.run_from_request": "(self, environ)",
    "Handler.__call__": "(self, environ, start_response)",
}

PROPERTIES = {
    "Task": {
        "dispatch_deadline_usec",
        "eta",
        "eta_posix",
        "headers",
        "method",
        "name",
        "on_queue_url",
        "payload",
        "queue_name",
        "retry_count",
        "retry_options",
        "size",
        "tag",
        "target",
        "url",
        "was_deleted",
        "was_enqueued",
    },
    "TaskRetryOptions": {
        "max_backoff_seconds",
        "max_doublings",
        "min_backoff_seconds",
        "task_age_limit",
        "task_retry_limit",
    },
    "Queue": {"name"},
}

RPC_MEMBERS = {
    "service",
    "method",
    "deadline",
    "callback",
    "request",
    "response",
    "state",
    "wait",
    "check_success",
    "get_result",
    "wait_any",
    "wait_all",
}


def bare(function: object) -> str:
    """A signature without its annotations."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    empty = inspect.Parameter.empty
    return str(
        signature.replace(
            parameters=[parameter.replace(annotation=empty) for parameter in signature.parameters.values()],
            return_annotation=inspect.Signature.empty,
        ),
    )


def find(module: object, path: str) -> object:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def test_the_submodules_names():
    assert set(taskqueue_module.__all__) == set(ANCESTRY) | set(CONSTANTS) | OTHERS


def test_the_packages_names_and_what_its_all_leaves_out():
    assert set(taskqueue.__all__) == set(taskqueue_module.__all__) - NOT_IN_THE_PACKAGES_ALL
    for name in taskqueue_module.__all__:
        assert getattr(taskqueue, name) is getattr(taskqueue_module, name)


@pytest.mark.parametrize("name", ANCESTRY)
def test_exceptions_and_their_parents(name):
    error = getattr(taskqueue_module, name)
    assert [base.__name__ for base in error.__bases__] == [ANCESTRY[name]]
    assert error.__name__ == name
    assert error is getattr(errors, name)


def test_the_two_names_of_one_exception():
    assert taskqueue.BadTransactionState is taskqueue.BadTransactionStateError


def test_what_we_added_is_caught_by_app_engines_except_clauses():
    ours = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__name__ not in ANCESTRY
    }
    outside = {error.__name__ for error in ours if not issubclass(error, errors.Error)}
    assert outside == {
        "ApiProxyError",
        "DeadlineExceededError",
        "DeferredError",
        "PermanentTaskFailure",
        "SingularTaskFailure",
    }


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    assert getattr(taskqueue_module, name) == CONSTANTS[name]


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names_that_clients_use(name):
    assert getattr(taskqueue_module, name) == PRIVATE[name]
    assert repr(taskqueue_module._UTC) == "_UTCTimeZone()"
    assert taskqueue_module._TASK_NAME_RE.pattern == PRIVATE["_TASK_NAME_PATTERN"]
    assert taskqueue_module._QUEUE_NAME_RE.pattern == PRIVATE["_QUEUE_NAME_PATTERN"]


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures(path):
    assert bare(find(taskqueue_module, path)) == SIGNATURES[path]


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties(name):
    members = vars(getattr(taskqueue_module, name))
    assert {key for key, value in members.items() if isinstance(value, property) and key[0] != "_"} == PROPERTIES[name]


@pytest.mark.parametrize("name", ["Task", "Queue", "QueueStatistics", "TaskRetryOptions"])
def test_no_other_public_member(name):
    methods = {path.partition(".")[2] for path in SIGNATURES if path.startswith(f"{name}.")}
    public = {key for key in vars(getattr(taskqueue_module, name)) if key[0] != "_"}
    assert public == methods | PROPERTIES.get(name, set())


def test_members_of_an_rpc():
    rpc: object = taskqueue.create_rpc()
    assert {name for name in RPC_MEMBERS if not hasattr(rpc, name)} == set()


def test_the_deferred_modules_names():
    assert set(deferred_module.__all__) == {
        "Error",
        "Handler",
        "PermanentTaskFailure",
        "SingularTaskFailure",
        "TaskHandler",
        "application",
        "defer",
        "invoke_member",
        "run",
        "run_from_datastore",
        "serialize",
        "set_log_level",
        "taskqueue",
    }
    for name in deferred_module.__all__:
        assert getattr(deferred, name) is getattr(deferred_module, name)
    assert (deferred_module._DEFAULT_URL, deferred_module._DEFAULT_QUEUE) == ("/_ah/queue/deferred", "default")
    assert deferred_module._DEFAULT_LOG_LEVEL == 20
    assert deferred_module._DeferredTaskEntity.__name__ == "_DeferredTaskEntity"
    assert isinstance(deferred.application, deferred.Handler)


def test_the_deferred_modules_exceptions():
    assert deferred.Error.__bases__ == (Exception,)
    assert deferred.PermanentTaskFailure.__bases__ == (deferred.Error,)
    assert deferred.SingularTaskFailure.__bases__ == (deferred.Error,)


@pytest.mark.parametrize("path", DEFERRED_SIGNATURES)
def test_the_deferred_modules_signatures(path):
    assert bare(find(deferred_module, path)) == DEFERRED_SIGNATURES[path]


@pytest.mark.parametrize("name", ["invoke_member", "run_from_datastore"])
def test_names_that_stand_in_stored_pickles_never_move(name):
    function = getattr(deferred, name)
    assert (function.__module__, function.__qualname__) == ("gae_broker.deferred.deferred", name)


def test_importing_reads_nothing_and_does_not_import_ndb_or_cloudpickle():
    script = (
        "import os, sys, threading\n"
        "before = set(os.listdir('.'))\n"
        "from gae_broker import taskqueue, deferred\n"
        "assert not {'cloudpickle', 'google.cloud.ndb', 'sqlalchemy', 'sqlite3'} & set(sys.modules), sys.modules\n"
        "assert threading.active_count() == 1 and set(os.listdir('.')) == before\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=sys.path[0] or ".", env={"PYTHONPATH": ":".join(sys.path)}
    )
