"""Which module of ours answers to which name of App Engine's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_HERE = "gae_broker_adapters.appengine"

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "google.appengine.api.taskqueue": "gae_broker.taskqueue",
        "google.appengine.api.taskqueue.taskqueue": "gae_broker.taskqueue.taskqueue",
        "google.appengine.api.taskqueue.taskqueue_stub": f"{_HERE}.taskqueue_stub",
        "google.appengine.api.labs.taskqueue": "gae_broker.taskqueue",
        "google.appengine.api.labs.taskqueue.taskqueue": "gae_broker.taskqueue.taskqueue",
        "google.appengine.ext.deferred": "gae_broker.deferred",
        "google.appengine.ext.deferred.deferred": "gae_broker.deferred.deferred",
    },
)
"""Ours whether Google's library is installed or not."""

STAND_INS: Mapping[str, str] = MappingProxyType(
    {
        "google.appengine.ext.testbed": "gae_broker.testing.testbed",
        "google.appengine.api.apiproxy_stub_map": "gae_broker.testing.apiproxy_stub_map",
        "google.appengine.api.queueinfo": f"{_HERE}.queueinfo",
        "google.appengine.runtime.apiproxy_errors": f"{_HERE}.apiproxy_errors",
    },
)
"""Ours where Google's library is not installed; where it is, its own serve, and find our task queue in their place."""

PACKAGES = frozenset(
    {
        "google",
        "google.appengine",
        "google.appengine.api",
        "google.appengine.api.labs",
        "google.appengine.ext",
        "google.appengine.runtime",
    },
)
"""Packages that the names above lie in. Made where there is none, with the members below and nothing else."""

MEMBERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "google.appengine.api": MappingProxyType({"wrap_wsgi_app": f"{_HERE}.wrapping"}),
        "google.appengine.runtime": MappingProxyType({"DeadlineExceededError": f"{_HERE}.request_deadline"}),
    },
)
"""What packages themselves have in them, by name, and the modules of ours that it is in."""
