"""Every intended difference from App Engine's own library, in one table.

The documentation is made from it, cases mark the statements where one shows (``#! id``), and a test fails when a
listed difference shows nowhere any more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One intended difference.

    Attributes:
        id: what cases mark it by.
        where: the API concerned.
        what: App Engine's library does this, we do that.
        reason: why ours is intended.
        members: the members of the parity table (tests/parity/members.py) that differ by it.
    """

    id: str
    where: str
    what: str
    reason: str
    members: tuple[str, ...]


DIFFERENCES = (
    Difference(
        "trailing-newline",
        "Task(name=...), Queue(name)",
        "App Engine's pattern ends in `$` and lets one trailing newline through; here it is InvalidTaskNameError, "
        "InvalidQueueNameError.",
        "A newline in a name ends up in headers and file names; nobody depends on it.",
        (
            "Task",
            "Queue",
        ),
    ),
    Difference(
        "url-none",
        "Task(url=None)",
        "TypeError there; here it is the queue's default url.",
        "The documentation of `deferred` recommends `_url=None` for exactly that.",
        ("Task",),
    ),
    Difference(
        "bytes-names",
        "Task(name=b'...'), Queue(b'...')",
        "TypeError there; here bytes are decoded.",
        "Programs written for Python 2 have names of both kinds.",
        (
            "Task",
            "Queue",
        ),
    ),
    Difference(
        "wrong-types",
        "arguments of types that the API does not name, and urls that cannot be parsed",
        "Whatever Python says deep inside (AttributeError, TypeError), or a value passed on as it is; here the API's "
        "own error with the value in its text, or what was obviously meant.",
        "The text helps; no program relies on such an AttributeError.",
        (
            "Task",
            "TaskRetryOptions",
            "Queue",
        ),
    ),
    Difference(
        "impossible-times",
        "countdown and lease times that are no time: nan, infinities, before the year 1",
        "ValueError or OverflowError, when the request is made; here InvalidEtaError, InvalidLeaseTimeError.",
        "The API's own error for an eta that cannot be.",
        (
            "Task",
            "Queue.lease_tasks",
            "Queue.modify_task_lease",
        ),
    ),
    Difference(
        "check-success",
        "RPC.check_success() of a failed call",
        "Raises the transport's ApplicationError with a number; here the exception that get_result() raises.",
        "There is no such transport here, and the exception says what is wrong.",
        ("UserRPC.check_success",),
    ),
    Difference(
        "deferred-error",
        "deferred.Error",
        "The class is called Error; here it is called DeferredError, and deferred.Error is a name for it.",
        "All exceptions stand in one module, where taskqueue.Error has that name.",
        ("deferred.Error",),
    ),
    Difference(
        "empty-async",
        "Queue.add_async([])",
        "An assertion of the service fails; here the RPC gives [].",
        "It is what the synchronous form gives.",
        ("Queue.add_async",),
    ),
    Difference(
        "sixth-transactional",
        "transactional add of a sixth task",
        "The datastore's stub raises a class that derives from BadRequestError and DatastoreError; here it is "
        "DatastoreError.",
        "There is no datastore library to derive from.",
        (
            "Queue.add",
            "taskqueue.DatastoreError",
        ),
    ),
    Difference(
        "untagged-lease",
        "Queue.lease_tasks_by_tag(tag=None) where the oldest task has no tag",
        "The stub takes the first max_tasks by eta and then drops the tagged ones, so it gives fewer than there are; "
        "here up to max_tasks untagged tasks are leased.",
        "The stub's limit is an accident of its order of steps.",
        ("Queue.lease_tasks_by_tag",),
    ),
    Difference(
        "unknown-task",
        "Queue.modify_task_lease of an unknown task",
        "A plain Error; here UnknownTaskError, which derives from Error.",
        "The cause can be told apart.",
        ("Queue.modify_task_lease",),
    ),
    Difference(
        "paused-lease",
        "Queue.lease_tasks on a paused queue",
        "The stub leases on; here nothing is leased.",
        "A paused queue gives out no work, as in production.",
        ("Queue.lease_tasks",),
    ),
    Difference(
        "unknown-statistics",
        "QueueStatistics.fetch of an unknown queue",
        "The stub answers with zeros; here it is UnknownQueueError.",
        "It is what production does.",
        ("QueueStatistics.fetch",),
    ),
    Difference(
        "closures",
        "deferred.defer and deferred.serialize of lambdas, closures and nested functions",
        "A pickling error; here they are deferred, by cloudpickle.",
        "It is asked for, and nothing relied on the error.",
        (
            "deferred.defer",
            "deferred.serialize",
        ),
    ),
    Difference(
        "stored-keys",
        "deferred.run_from_datastore of a key that never was one",
        "The datastore's BadKeyError, so the task is tried for ever; here PermanentTaskFailure.",
        "The payload is not there and will not be.",
        ("deferred.run_from_datastore",),
    ),
    Difference(
        "large-transactional",
        "deferred.defer(..., _transactional=True) of a call too large for a task",
        "Enqueues the call even if the transaction rolls back; here it is enqueued with the commit only.",
        "A known defect of App Engine's library (djangae issue 1033).",
        ("deferred.defer",),
    ),
    Difference(
        "deferred-get",
        "deferred.application, methods other than POST",
        "Answers with a tuple that is no WSGI response, and fails; here 405 with Allow: POST.",
        "A defect of App Engine's library.",
        ("deferred.application",),
    ),
    Difference(
        "server-software",
        "deferred.Handler without SERVER_SOFTWARE in the environ",
        "AttributeError; here the request is judged as in production.",
        "Most WSGI servers outside of App Engine set no SERVER_SOFTWARE.",
        ("deferred.Handler",),
    ),
    Difference(
        "request-headers",
        "the request of a push task",
        "The development server's X-AppEngine-Fake-Is-Admin is missing here; X-AppEngine-User-IP: 0.1.0.2 is there, "
        "and after a failure X-AppEngine-TaskRetryReason.",
        "Unmodified deferred handlers accept tasks from that address only; the reason is documented by Google, and no "
        "handler should take anyone for an administrator.",
        ("push requests",),
    ),
    Difference(
        "target-host",
        "where a task runs that names a target",
        "The stub knows a target by the task's Host alone, and sends that Host to its one server; here the target is "
        "kept with the task, and the request goes to the server configured for it, with that server's Host.",
        "Outside of App Engine there is no host name to make of a target, and none that leads there.",
        (
            "push requests",
            "Task.target",
        ),
    ),
    Difference(
        "queue-yaml-errors",
        "queue.yaml that cannot be used",
        "MalformedQueueConfiguration or yaml_errors.EventError; here QueueYamlError with file, line and what was "
        "expected.",
        "App Engine's exceptions belong to its configuration library, which is not here.",
        ("queue.yaml",),
    ),
    Difference(
        "queue-yaml-reading",
        "queue.yaml: a file that is no mapping, `task_age_limit: 0.1s`",
        "The first is taken for an empty configuration there, and is refused here; the second is refused there, and "
        "one second here.",
        "Nothing in the file is silently ignored.",
        ("queue.yaml",),
    ),
    Difference(
        "stub-pull-listing",
        "testbed: pull tasks in GetTasks and get_filtered_tasks",
        "A host header `default.localhost`, and X-AppEngine-TaskExecutionCount counts leases; here neither.",
        "No request is made of a pull task.",
        (
            "TaskQueueServiceStub.GetTasks",
            "TaskQueueServiceStub.get_filtered_tasks",
        ),
    ),
    Difference(
        "unsendable-headers",
        "Task(headers=...) with line breaks, NUL, or names that are no HTTP tokens",
        "Stored as they are, and break or split the request when the task runs; here InvalidTaskError.",
        "A value taken from a user could otherwise add headers to the request, the queue's own among them.",
        ("Task",),
    ),
    Difference(
        "lone-surrogates",
        "text that cannot be encoded, in a url, payload, header, parameter or tag",
        "UnicodeEncodeError when the task is made or added; here the API's own error for that argument.",
        "What is wrong with a task is an InvalidTaskError.",
        ("Task",),
    ),
)
