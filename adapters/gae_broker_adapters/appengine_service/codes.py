"""The service's error numbers for our exceptions. Source: gae-semantics section 1.2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from google.appengine.api.taskqueue import taskqueue_service_bytes_pb2 as pb
from google.appengine.runtime import apiproxy_errors

from gae_broker import errors

Code = pb.TaskQueueServiceError

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (errors.UnknownQueueError, Code.UNKNOWN_QUEUE),
    (errors.TransientError, Code.TRANSIENT_ERROR),
    (errors.TransactionalRequestTooLargeError, Code.TRANSACTIONAL_REQUEST_TOO_LARGE),
    (errors.TaskTooLargeError, Code.TASK_TOO_LARGE),
    (errors.InvalidTaskNameError, Code.INVALID_TASK_NAME),
    (errors.InvalidQueueNameError, Code.INVALID_QUEUE_NAME),
    (errors.InvalidUrlError, Code.INVALID_URL),
    (errors.PermissionDeniedError, Code.PERMISSION_DENIED),
    (errors.TaskAlreadyExistsError, Code.TASK_ALREADY_EXISTS),
    (errors.TombstonedTaskError, Code.TOMBSTONED_TASK),
    (errors.InvalidEtaError, Code.INVALID_ETA),
    (errors.InvalidTaskError, Code.INVALID_REQUEST),
    (errors.UnknownTaskError, Code.UNKNOWN_TASK),
    (errors.DuplicateTaskNameError, Code.DUPLICATE_TASK_NAME),
    (errors.TooManyTasksError, Code.TOO_MANY_TASKS),
    (errors.InvalidTaskRetryOptionsError, Code.INVALID_RETRY_PARAMETERS),
    (errors.InvalidQueueModeError, Code.INVALID_QUEUE_MODE),
    (errors.TaskLeaseExpiredError, Code.TASK_LEASE_EXPIRED),
    (errors.QueuePausedError, Code.QUEUE_PAUSED),
    (errors.InvalidTagError, Code.INVALID_TAG),
    (errors.InvalidDispatchDeadlineError, Code.INVALID_DISPATCH_DEADLINE),
    (errors.InvalidLeaseTimeError, Code.INVALID_REQUEST),
    (errors.InvalidMaxTasksError, Code.INVALID_REQUEST),
    (errors.DatastoreError, Code.DATASTORE_BAD_REQUEST),
    (errors.Error, Code.INTERNAL_ERROR),
)
"""The first class that fits counts."""


def code_of(error: Exception) -> int:
    """The number of one task's error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), int(Code.INTERNAL_ERROR))


def refusal(code: int, detail: str) -> Exception:
    """What a call as a whole is refused with."""
    error: Exception = apiproxy_errors.ApplicationError(code, detail)
    return error


@contextlib.contextmanager
def as_application_errors() -> Iterator[None]:
    """Let our exceptions reach Google's client as the transport's."""
    try:
        yield
    except errors.Error as exc:
        raise refusal(code_of(exc), str(exc)) from exc
