"""App Engine's API, member by member: what the parity table lists. A test compares the lists with Google's library."""

from __future__ import annotations

from collections.abc import Mapping

_WRITTEN = {
    "taskqueue": """
        Task TaskRetryOptions Queue QueueStatistics add create_rpc DEFAULT_APP_VERSION MAX_DISPATCH_DEADLINE
        MAX_LEASE_SECONDS MAX_PULL_TASK_SIZE_BYTES MAX_PUSH_TASK_SIZE_BYTES MAX_QUEUE_NAME_LENGTH
        MAX_TAG_LENGTH MAX_TASKS_PER_ADD MAX_TASKS_PER_LEASE MAX_TASK_NAME_LENGTH MAX_TASK_SIZE_BYTES
        MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES MAX_URL_LENGTH MIN_DISPATCH_DEADLINE BadTaskStateError
        BadTransactionState BadTransactionStateError DatastoreError DuplicateTaskNameError Error
        InternalError InvalidDeadlineError InvalidDispatchDeadlineError InvalidEtaError
        InvalidLeaseTimeError InvalidMaxTasksError InvalidQueueError InvalidQueueModeError
        InvalidQueueNameError InvalidTagError InvalidTaskError InvalidTaskNameError
        InvalidTaskRetryOptionsError InvalidUrlError PermissionDeniedError QueuePausedError
        TaskAlreadyExistsError TaskLeaseExpiredError TaskTooLargeError TombstonedTaskError TooManyTasksError
        TransactionalRequestTooLargeError TransientError UnknownQueueError
    """,
    "Task": """
        add add_async dispatch_deadline_usec eta eta_posix extract_params headers method name on_queue_url
        payload queue_name retry_count retry_options size tag target url was_deleted was_enqueued
    """,
    "TaskRetryOptions": """
        max_backoff_seconds max_doublings min_backoff_seconds task_age_limit task_retry_limit
    """,
    "Queue": """
        add add_async delete_tasks delete_tasks_async delete_tasks_by_name delete_tasks_by_name_async
        fetch_statistics fetch_statistics_async lease_tasks lease_tasks_async lease_tasks_by_tag
        lease_tasks_by_tag_async modify_task_lease name purge
    """,
    "QueueStatistics": """
        fetch fetch_async
    """,
    "UserRPC": """
        MyLocal check_success deadline future get_result get_result_hook make_call method request response
        service state user_data wait wait_all wait_any
    """,
    "deferred": """
        Error Handler PermanentTaskFailure SingularTaskFailure application defer invoke_member run
        run_from_datastore serialize set_log_level
    """,
    "Handler": """
        post run_from_request
    """,
    "Testbed": """
        activate deactivate get_stub init_all_stubs init_app_identity_stub init_blobstore_stub
        init_capability_stub init_channel_stub init_datastore_v3_stub init_files_stub init_images_stub
        init_mail_stub init_memcache_stub init_modules_stub init_search_stub init_taskqueue_stub
        init_urlfetch_stub init_user_stub init_xmpp_stub setup_env setup_wsgi_env
    """,
    "TaskQueueServiceStub": """
        Clear DeleteTask EnableAutoTaskRunning FlushQueue GetQueues GetTasks Shutdown
        StartBackgroundExecution THREADSAFE get_filtered_tasks
    """,
}
MEMBERS: Mapping[str, tuple[str, ...]] = {owner: tuple(members.split()) for owner, members in _WRITTEN.items()}
"""Public members by what they are members of."""

BEHAVIOUR: Mapping[str, str] = {
    "push requests": "run",
    "queue.yaml": "read_queue_yaml",
}
"""What is no member of a module and is compared all the same, and by which word of the cases."""

_ANOTHER_SERVICE = "another service than the task queue; beside Google's library its testbed has it"
_PROTOBUF = "a part of Google's transport; beside Google's library RPCs have it"
ABSENT: Mapping[str, str] = {
    **{
        f"Testbed.{name}": _ANOTHER_SERVICE
        for name in MEMBERS["Testbed"]
        if name.startswith("init_") and name not in {"init_taskqueue_stub", "init_all_stubs"}
    },
    **{f"UserRPC.{name}": _PROTOBUF for name in ("MyLocal", "future", "get_result_hook", "make_call", "user_data")},
    "TaskQueueServiceStub.THREADSAFE": _PROTOBUF,
}
"""Members that are not here, and why."""

ASKED_BY: Mapping[str, str] = {
    "TaskQueueServiceStub.GetTasks": "listed",
    "TaskQueueServiceStub.GetQueues": "queues",
    "TaskQueueServiceStub.get_filtered_tasks": "filtered",
    "TaskQueueServiceStub.FlushQueue": "flush",
    "TaskQueueServiceStub.DeleteTask": "remove",
}
"""Members that the cases call by a name of their own."""

_PLAYS = "plays every case"
_THREAD = "starts and ends a thread; tested by itself (tests/unit/testing)"
UNCOMPARED: Mapping[str, str] = {
    **{f"Testbed.{name}": _PLAYS for name in ("deactivate", "get_stub", "init_taskqueue_stub")},
    "Testbed.setup_env": "tested by itself (tests/unit/testing)",
    "TaskQueueServiceStub.Clear": "tested by itself (tests/unit/testing)",
    **{
        f"TaskQueueServiceStub.{name}": _THREAD
        for name in ("EnableAutoTaskRunning", "Shutdown", "StartBackgroundExecution")
    },
}
"""Members that no case calls, and what is known of them."""

ELSEWHERE: Mapping[str, str] = {
    "UserRPC.request": "a mapping, not a protocol buffer",
    "UserRPC.response": "the engine's answer, not a protocol buffer",
    "Testbed.setup_wsgi_env": "sets the environment's variables; there is no request context",
    "Testbed.activate": "the Datastore emulator cannot be asked for",
    "Testbed.init_all_stubs": "the task queue's alone",
}
"""Members that differ in what no case compares, and how."""


def names() -> list[str]:
    """Every member, as the table and `Difference.members` call it."""
    return [
        member if owner == "taskqueue" and member in MEMBERS else f"{owner}.{member}"
        for owner, members in MEMBERS.items()
        for member in members
    ] + list(BEHAVIOUR)
