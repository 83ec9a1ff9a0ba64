"""Every exception this package raises, App Engine's names first.

The tree, additions to App Engine's own marked with ``+``::

    Exception
    ├── Error
    │   ├── UnknownQueueError            ├── BadTaskStateError
    │   ├── TransientError               ├── DuplicateTaskNameError
    │   │   ├── BrokerUnavailableError + ├── TooManyTasksError
    │   │   ├── BrokerBlockedError +     ├── DatastoreError
    │   │   ├── PublishRejectedError +   ├── InternalError
    │   │   ├── ConfirmTimeoutError +    ├── PermissionDeniedError
    │   │   ├── ClaimPendingError +      ├── BadTransactionStateError
    │   │   ├── OutboxUnavailableError + ├── InvalidTaskRetryOptionsError
    │   │   └── LedgerUnavailableError + │
    │   ├── InvalidLeaseTimeError        ├── InvalidMaxTasksError
    │   ├── InvalidDeadlineError         ├── InvalidQueueModeError
    │   ├── TaskLeaseExpiredError        ├── QueuePausedError
    │   ├── InvalidTagError              ├── InvalidDispatchDeadlineError
    │   ├── UnknownTaskError +           ├── InvalidQueueError
    │   ├── UnsupportedError +           │   └── InvalidQueueNameError
    │   └── InvalidTaskError             │
    │       ├── InvalidTaskNameError     ├── ConfigurationError +
    │       ├── TaskAlreadyExistsError   │   ├── SettingsError +
    │       ├── TombstonedTaskError      │   └── QueueYamlError +
    │       ├── InvalidUrlError          └── StorageError +
    │       ├── InvalidEtaError
    │       └── TaskTooLargeError
    │           └── TransactionalRequestTooLargeError
    ├── ApiProxyError                    (App Engine: runtime.apiproxy_errors.Error)
    │   └── DeadlineExceededError
    └── deferred.Error                   (raised by and for deferred handlers)
        ├── PermanentTaskFailure
        └── SingularTaskFailure

Code written for App Engine keeps its ``except`` clauses: whatever was added here derives from
the App Engine exception that such code already handles.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class Error(Exception):
    """Base of every task queue error (App Engine: ``taskqueue.Error``).

    Attributes:
        failures: of an add of several tasks, why each that was not enqueued was not, by its position in the call
            (from 0); empty for every other call. App Engine told by ``Task.was_enqueued`` alone, as is told here too.
    """

    failures: Mapping[int, Exception] = MappingProxyType({})


class UnknownQueueError(Error):
    """The queue is not configured; add it to queue.yaml, or correct the name."""


class TransientError(Error):
    """The operation was not done, or is not known to be done; trying again is safe."""


class BrokerUnavailableError(TransientError):
    """The broker cannot be reached, or closed the connection before it confirmed."""


class BrokerBlockedError(TransientError):
    """The broker reads no publishes now (a memory or disk alarm); free space, then try again."""


class PublishRejectedError(TransientError):
    """The broker refused the message (``basic.nack``, or a full disk)."""


class ConfirmTimeoutError(TransientError):
    """No confirm came within the deadline; the task may or may not have been enqueued."""


class ClaimPendingError(TransientError):
    """Another add of the same task name is under way; try again in a few seconds."""


class LedgerUnavailableError(TransientError):
    """The ledger database cannot be reached, is locked, full or corrupt."""


class OutboxUnavailableError(TransientError):
    """The application's database cannot be reached, or has no outbox table; tasks in it stay there."""


class InternalError(Error):
    """An internal error of the task queue service."""


class InvalidQueueError(Error):
    """The queue's configuration is invalid."""


class InvalidQueueNameError(InvalidQueueError):
    """The queue name does not match ``[a-zA-Z0-9-]{1,100}``."""


class InvalidTaskError(Error):
    """The task's parameters, or their combination, are invalid."""


class InvalidTaskNameError(InvalidTaskError):
    """The task name does not match ``[a-zA-Z0-9_-]{1,500}``, or may not be given here."""


class InvalidUrlError(InvalidTaskError):
    """The task's url is not a relative path of at most 2,083 characters."""


class InvalidEtaError(InvalidTaskError):
    """The task's eta is more than 30 days ahead."""


class TaskAlreadyExistsError(InvalidTaskError):
    """A task of this name is in the queue."""


class TombstonedTaskError(InvalidTaskError):
    """A task of this name was in the queue and was executed or deleted; the name is not free yet."""


class TaskTooLargeError(InvalidTaskError):
    """The task is larger than its kind of queue takes (push 100 KiB, pull 1 MiB)."""


class TransactionalRequestTooLargeError(TaskTooLargeError):
    """The tasks of one transactional add exceed 1 MiB together."""


class BadTaskStateError(Error):
    """The task was added or deleted already, or has no name where one is needed."""


class DuplicateTaskNameError(Error):
    """Two tasks of one call bear the same name."""


class TooManyTasksError(Error):
    """More than 100 tasks in one call."""


class PermissionDeniedError(Error):
    """The caller may not do this to the queue."""


class DatastoreError(Error):
    """The transaction's datastore reported an error."""


class BadTransactionStateError(Error):
    """There is no transaction, or not one that can take the task."""


class InvalidTaskRetryOptionsError(Error):
    """A retry option is negative, or the options contradict each other."""


class InvalidLeaseTimeError(Error):
    """The lease time is not between 0 seconds and 7 days."""


class InvalidMaxTasksError(Error):
    """The number of tasks to lease is not between 1 and 1,000."""


class InvalidDeadlineError(Error):
    """The deadline is not a positive number of seconds."""


class InvalidDispatchDeadlineError(Error):
    """The dispatch deadline is not between 15 seconds and 24 hours."""


class InvalidQueueModeError(Error):
    """A push operation on a pull queue, or the reverse."""


class TaskLeaseExpiredError(Error):
    """The lease of the task ended, or another worker holds it."""


class QueuePausedError(Error):
    """The queue is paused; resume it first."""


class InvalidTagError(Error):
    """The tag is longer than 500 characters, or not text."""


class UnknownTaskError(Error):
    """No task of this name is in the queue (App Engine raises a plain ``Error`` here)."""


class UnsupportedError(Error):
    """The broker in use cannot do this; the text says what it can do."""


class ConfigurationError(Error):
    """Settings or queue.yaml cannot be used as they are."""


class SettingsError(ConfigurationError):
    """A setting is missing, malformed, or contradicts another; the text names it and its source."""


class QueueYamlError(ConfigurationError):
    """queue.yaml cannot be used; the text reads ``file:line: key: what was expected``."""


class StorageError(Error):
    """The embedded database file is damaged, or is of a version this release does not read."""


class ApiProxyError(Exception):
    """Base of the errors of App Engine's API proxy (App Engine: ``apiproxy_errors.Error``)."""


class DeadlineExceededError(ApiProxyError):
    """The call took longer than its deadline (App Engine: ``apiproxy_errors.DeadlineExceededError``)."""


class DeferredError(Exception):
    """Base of the deferred library's errors (App Engine: ``deferred.Error``)."""


class PermanentTaskFailure(DeferredError):
    """Raised by a deferred function: the task failed for good and is not tried again."""


class SingularTaskFailure(DeferredError):
    """Raised by a deferred function: the task failed this once; try again, without an error in the log."""


BadTransactionState = BadTransactionStateError
