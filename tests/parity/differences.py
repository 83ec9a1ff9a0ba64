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
    """

    id: str
    where: str
    what: str
    reason: str


DIFFERENCES = (
    Difference(
        "trailing-newline",
        "Task(name=...), Queue(name)",
        "App Engine's pattern ends in `$` and lets one trailing newline through; here it is InvalidTaskNameError, "
        "InvalidQueueNameError.",
        "A newline in a name ends up in headers and file names; nobody depends on it.",
    ),
    Difference(
        "url-none",
        "Task(url=None)",
        "TypeError there; here it is the queue's default url.",
        "The documentation of `deferred` recommends `_url=None` for exactly that.",
    ),
    Difference(
        "bytes-names",
        "Task(name=b'...'), Queue(b'...')",
        "TypeError there; here bytes are decoded.",
        "Programs written for Python 2 have names of both kinds.",
    ),
    Difference(
        "wrong-types",
        "arguments of types that the API does not name",
        "Whatever Python says deep inside (AttributeError, TypeError), or a value passed on as it is; here the API's "
        "own error with the value in its text, or what was obviously meant.",
        "The text helps; no program relies on such an AttributeError.",
    ),
    Difference(
        "impossible-times",
        "countdown and lease times that are no time: nan, infinities, before the year 1",
        "ValueError or OverflowError, when the request is made; here InvalidEtaError, InvalidLeaseTimeError.",
        "The API's own error for an eta that cannot be.",
    ),
    Difference(
        "check-success",
        "RPC.check_success() of a failed call",
        "Raises the transport's ApplicationError with a number; here the exception that get_result() raises.",
        "There is no such transport here, and the exception says what is wrong.",
    ),
    Difference(
        "deferred-error",
        "deferred.Error",
        "The class is called Error; here it is called DeferredError, and deferred.Error is a name for it.",
        "All exceptions stand in one module, where taskqueue.Error has that name.",
    ),
    Difference(
        "empty-async",
        "Queue.add_async([])",
        "An assertion of the service fails; here the RPC gives [].",
        "It is what the synchronous form gives.",
    ),
    Difference(
        "sixth-transactional",
        "transactional add of a sixth task",
        "The datastore's stub raises a class that derives from BadRequestError and DatastoreError; here it is "
        "DatastoreError.",
        "There is no datastore library to derive from.",
    ),
    Difference(
        "untagged-lease",
        "Queue.lease_tasks_by_tag(tag=None) where the oldest task has no tag",
        "The stub takes the first max_tasks by eta and then drops the tagged ones, so it gives fewer than there are; "
        "here up to max_tasks untagged tasks are leased.",
        "The stub's limit is an accident of its order of steps.",
    ),
    Difference(
        "unknown-task",
        "Queue.modify_task_lease of an unknown task",
        "A plain Error; here UnknownTaskError, which derives from Error.",
        "The cause can be told apart.",
    ),
    Difference(
        "paused-lease",
        "Queue.lease_tasks on a paused queue",
        "The stub leases on; here nothing is leased.",
        "A paused queue gives out no work, as in production.",
    ),
    Difference(
        "unknown-statistics",
        "QueueStatistics.fetch of an unknown queue",
        "The stub answers with zeros; here it is UnknownQueueError.",
        "It is what production does.",
    ),
)
