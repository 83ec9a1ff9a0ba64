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
        "falsy-payload",
        "Task(payload=0), [], False",
        "Falsy values that are neither text nor bytes are kept as they are and fail later; here they are "
        "InvalidTaskError, as other values of their types.",
        "A payload that is not bytes cannot be stored.",
    ),
    Difference(
        "nan-countdown",
        "Task(countdown=nan)",
        "Accepted there, and fails when the eta is computed; here it is InvalidTaskError.",
        "There is no such time.",
    ),
    Difference(
        "nan-lease",
        "Queue.lease_tasks(nan, ...)",
        "Passes the bounds check there and fails within the service; here it is InvalidLeaseTimeError.",
        "There is no such time.",
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
        "delete-unknown",
        "Queue.delete_tasks of a name that was never added",
        "Leaves no trace there; here the name is barred like a deleted one.",
        "The broker cannot be searched for a task in flight, so the deletion is recorded, which is safe when an add "
        "and a delete race.",
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
