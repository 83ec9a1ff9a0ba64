"""Which task queue a call goes to: the one that App Engine's API proxy names, if a test put one there."""

from __future__ import annotations

import os
import sys

from gae_broker.engine.runtime import Runtime
from gae_broker.testing.stub import TaskQueueServiceStub
from gae_broker.testing.testbed import absent

_PROXY = "google.appengine.api.apiproxy_stub_map"
_SERVICE = "taskqueue"


def registered() -> Runtime | None:
    """The registered stub's task queue, ``None`` where the process's own serves.

    Where Google's testbed is active and has no task queue stub, it is one that no call reaches: a test never comes to
    a real task queue by mistake, and makes Tasks as it does there.
    """
    proxy = getattr(sys.modules.get(_PROXY), "apiproxy", None)
    if proxy is None:
        return None
    stub = proxy.GetStub(_SERVICE)
    if isinstance(stub, TaskQueueServiceStub):
        return stub.bench.runtime
    if stub is None and os.environ.get("SERVER_SOFTWARE") == "Development/1.0 (testbed)" and _is_googles(proxy):
        return absent()
    return None


def _is_googles(proxy: object) -> bool:
    return type(proxy).__module__ == _PROXY
