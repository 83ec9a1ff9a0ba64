"""Which class a new RPC has: where a library that yields only its own objects is in use, one that it takes too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gae_broker.taskqueue import ndb_rpc
from gae_broker.taskqueue.rpc import RPC

_BUILDERS: dict[str, Callable[[ModuleType], type[RPC[Any]]]] = {
    # The place for legacy App Engine too: "google.appengine.api.apiproxy_stub_map", a subclass of its UserRPC.
    "google.cloud.ndb.tasklets": ndb_rpc.build,
}
"""By the module that must have been imported already. The first one counts."""

_built: dict[ModuleType, type[RPC[Any]]] = {}


def rpc_class() -> type[RPC[Any]]:
    """The class for a call made now."""
    for name, build in _BUILDERS.items():
        module = sys.modules.get(name)
        # A module that another thread is importing just now is there, but not complete.
        if module is None or not hasattr(module, "Future"):
            continue
        if module not in _built:
            _built.setdefault(module, build(module))
        return _built[module]
    return RPC
