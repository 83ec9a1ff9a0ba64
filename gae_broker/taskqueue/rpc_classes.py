"""Which class a new RPC has: where a library that yields only its own objects is in use, one that it takes too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gae_broker.taskqueue import google_rpc, ndb_rpc
from gae_broker.taskqueue.rpc import RPC

_BUILDERS: dict[str, tuple[str, Callable[[ModuleType], type[RPC[Any]]]]] = {
    "google.cloud.ndb.tasklets": ("Future", ndb_rpc.build),
    "google.appengine.api.apiproxy_stub_map": ("UserRPC", google_rpc.build),
}
"""By the module that must have been imported already, and what it must have by then. The first one counts."""

_built: dict[ModuleType, type[RPC[Any]]] = {}


def rpc_class() -> type[RPC[Any]]:
    """The class for a call made now."""
    for name, (needed, build) in _BUILDERS.items():
        module = sys.modules.get(name)
        # A module that another thread is importing just now is there, but not complete.
        base = getattr(module, needed, None)
        if module is None or base is None or issubclass(RPC, base):
            continue
        if module not in _built:
            _built.setdefault(module, build(module))
        return _built[module]
    return RPC
