"""App Engine's limits on tasks, leases and calls.

Source: the constants of ``google.appengine.api.taskqueue``, release 3.1.0.
"""

from __future__ import annotations

from datetime import timedelta

MAX_QUEUE_NAME_LENGTH = 100
MAX_TASK_NAME_LENGTH = 500
MAX_TAG_LENGTH = 500
MAX_URL_LENGTH = 2083

MAX_PULL_TASK_SIZE_BYTES = 1024 * 1024
MAX_PUSH_TASK_SIZE_BYTES = 100 * 1024
MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES = 1024 * 1024

MAX_TASKS_PER_ADD = 100
MAX_TASKS_PER_LEASE = 1000
MAX_LEASE_SECONDS = 7 * 24 * 60 * 60
MAX_COUNTDOWN_SECONDS = 30 * 24 * 60 * 60

MIN_DISPATCH_DEADLINE = timedelta(seconds=15)
MAX_DISPATCH_DEADLINE = timedelta(hours=24)

TASK_NAME_PATTERN = rf"^[a-zA-Z0-9_-]{{1,{MAX_TASK_NAME_LENGTH}}}$"
QUEUE_NAME_PATTERN = rf"^[a-zA-Z0-9-]{{1,{MAX_QUEUE_NAME_LENGTH}}}$"
