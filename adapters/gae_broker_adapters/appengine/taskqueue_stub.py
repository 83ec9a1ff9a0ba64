"""``google.appengine.api.taskqueue.taskqueue_stub``: the stub that test suites make themselves, and what is beside it.

Beside Google's library it can be registered with Google's API proxy, so that Google's testbed makes it. Of Google's
module this has what does without protocol buffers, private names too: suites and admin pages use those.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

from gae_broker.engine.runtime import Runtime
from gae_broker.taskqueue.taskqueue import (
    MAX_PULL_TASK_SIZE_BYTES,
    MAX_PUSH_TASK_SIZE_BYTES,
    MAX_TASK_SIZE_BYTES,
)
from gae_broker.testing import stub
from gae_broker.testing.listings import BUILT_IN_HEADERS, eta_delta, format_eta
from gae_broker.testing.listings import TIME_FORMAT as TIME_STR_FMT
from gae_broker.testing.stub import to_task as ConvertTaskDictToTaskObject  # noqa: N812 - App Engine's names
from gae_broker.testing.stub_queue import StubGroup as _Group
from gae_broker.testing.stub_queue import StubQueue as _Queue

__all__ = [
    "BUILT_IN_HEADERS",
    "DEFAULT_BUCKET_SIZE",
    "DEFAULT_QUEUE_NAME",
    "DEFAULT_RATE",
    "DEFAULT_RATE_FLOAT",
    "MAX_ETA",
    "MAX_PULL_TASK_SIZE_BYTES",
    "MAX_PUSH_TASK_SIZE_BYTES",
    "MAX_TASK_SIZE",
    "MAX_TASK_SIZE_BYTES",
    "TIME_STR_FMT",
    "ConvertTaskDictToTaskObject",
    "TaskQueueServiceStub",
    "_Group",
    "_Queue",
]

DEFAULT_QUEUE_NAME = "default"
DEFAULT_RATE = "5.00/s"
DEFAULT_RATE_FLOAT = 5.0
DEFAULT_BUCKET_SIZE = 5
MAX_ETA = timedelta(days=30)
MAX_TASK_SIZE = MAX_PUSH_TASK_SIZE_BYTES
_US = 1_000_000

_FormatEta = format_eta


def _SecToUsec(t: float) -> int:  # noqa: N802
    return int(t * _US)


def _UsecToSec(t: float) -> float:  # noqa: N802
    return t / _US


def _EtaDelta(eta_usec: int, now: datetime) -> str:  # noqa: N802
    return eta_delta(eta_usec, int(now.replace(tzinfo=UTC).timestamp() * _US))


def _stub_class() -> type[stub.TaskQueueServiceStub]:
    try:
        base: Any = importlib.import_module("google.appengine.api.apiproxy_stub").APIProxyStub
    except ImportError:
        return stub.TaskQueueServiceStub
    calls: Any = importlib.import_module("gae_broker_adapters.appengine_service.service").TaskQueueCalls

    class TaskQueueServiceStub(stub.TaskQueueServiceStub, calls, base):  # type: ignore[misc]
        """Ours, and to Google's API proxy a stub like any other: its datastore adds tasks through it."""

        THREADSAFE = True

        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as our stub's
            stub.TaskQueueServiceStub.__init__(self, *args, **kwargs)
            request_data = self.request_data
            calls.__init__(self, self.service_name, request_data=request_data)

        def _runtime(self) -> Runtime:
            return self.bench.runtime

    return TaskQueueServiceStub


TaskQueueServiceStub = _stub_class()
