"""``google.appengine.api.taskqueue.taskqueue_stub``: the stub that test suites make themselves, and its constants.

Beside Google's library it can be registered with Google's API proxy, so that Google's testbed makes it.
"""

from __future__ import annotations

import importlib
from typing import Any

from gae_broker.engine.runtime import Runtime
from gae_broker.taskqueue.taskqueue import (
    MAX_PULL_TASK_SIZE_BYTES,
    MAX_PUSH_TASK_SIZE_BYTES,
    MAX_TASK_SIZE_BYTES,
)
from gae_broker.testing import stub
from gae_broker.testing.listings import format_eta as _FormatEta  # noqa: N812 - App Engine's name

__all__ = ["MAX_PULL_TASK_SIZE_BYTES", "MAX_PUSH_TASK_SIZE_BYTES", "MAX_TASK_SIZE_BYTES", "TaskQueueServiceStub"]

_ = _FormatEta


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
