"""Our queues as the ``taskqueue`` service behind Google's API proxy, for Google's own, unchanged client.

Where appengine-python-standard's task queue client has to stay (its ndb, its unit tests, code that makes the protocol
buffer calls itself), nothing is put in the place of its modules: `register` makes its calls arrive here. Call it where
the program begins, or set ``GAE_BROKER_SHIM=service`` for gae-broker's commands and pytest.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["SERVICE", "register"]

SERVICE = "taskqueue"


def register(stub_map: object = None) -> None:
    """Answer to the ``taskqueue`` service of an API proxy, in the place of whatever does.

    Args:
        stub_map: an ``APIProxyStubMap``; by default the process's. Google's testbed makes a new one whenever it is
            activated, so register after that.

    Raises:
        ImportError: appengine-python-standard is not installed, or its import names lead to our modules already.
    """
    stub_map_module = importlib.import_module("google.appengine.api.apiproxy_stub_map")
    client = importlib.import_module("google.appengine.api.taskqueue")
    if client.__name__.startswith("gae_broker"):
        raise ImportError(
            "google.appengine.api.taskqueue is gae-broker's own client already; use either the import names "
            "(gae_broker_adapters.appengine, GAE_BROKER_SHIM=1) or the service (GAE_BROKER_SHIM=service)",
            name=client.__name__,
        )
    service = importlib.import_module(f"{__name__}.service")
    proxy: Any = stub_map_module.apiproxy if stub_map is None else stub_map
    proxy.ReplaceStub(SERVICE, service.TaskQueueService())
