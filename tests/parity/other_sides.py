"""Our implementation as a side of the parity tests, reached from App Engine's names; runs in a process of its own.

``names``: our import names, with nothing of Google's installed. ``beside``: our import names beside Google's library,
with its testbed and its datastore's transactions. ``service``: Google's own client, our service behind its API proxy.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import types
from typing import Any

os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"  # as the oracle

WAY = sys.argv[1]
if WAY == "service":
    from gae_broker_adapters import appengine_service
else:
    import gae_broker_adapters.appengine  # noqa: F401 - that is what it is for

from google.appengine.api import taskqueue
from google.appengine.ext import deferred, testbed

from gae_broker.testing.stub import TaskQueueServiceStub
from tests.parity import player
from tests.parity.our_side import OurSide

from google.appengine.api.taskqueue import taskqueue as client  # isort: skip


class NamesSide(OurSide):
    """As ours, by App Engine's names."""

    taskqueue, client, deferred, testbed = taskqueue, client, deferred, testbed


class BesideSide(NamesSide):
    """With Google's testbed and transactions of its datastore."""

    def _open(self, script: dict[str, Any], **arguments: Any) -> TaskQueueServiceStub:
        if script.get("datastore"):
            self._testbed.init_datastore_v3_stub()
        return super()._open(script, **arguments)

    def _in_transaction(self, *calls: Any, rollback: bool = False) -> Any:
        db = importlib.import_module("google.appengine.ext.db")
        outcomes: list[Any] = []

        def body() -> None:
            given = [player.attempt(call) for call in calls]
            if rollback:
                raise db.Rollback
            outcomes.extend(given)

        result = player.attempt(lambda: db.run_in_transaction(body))
        return [*outcomes, "not committed" if isinstance(result, Exception) or rollback else "committed"]


class ServiceSide(BesideSide):
    """With Google's client, on the process's runtime; the stub is never registered, it is only looked into."""

    def _open(self, script: dict[str, Any], **arguments: Any) -> TaskQueueServiceStub:
        if script.get("datastore"):
            self._testbed.init_datastore_v3_stub()
        self._own = TaskQueueServiceStub(**arguments)
        self._own.bench.install()
        appengine_service.register()
        client.time = types.SimpleNamespace(time=arguments["gettime"], mktime=time.mktime)
        return self._own

    def close(self) -> None:
        self._own.close()
        super().close()


if __name__ == "__main__":
    player.serve({"names": NamesSide, "beside": BesideSide, "service": ServiceSide}[WAY])
