"""Which of our modules stands for which of App Engine's, in source code."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "google.appengine.api.taskqueue": "gae_broker.taskqueue",
        "google.appengine.api.taskqueue.taskqueue": "gae_broker.taskqueue.taskqueue",
        "google.appengine.api.labs.taskqueue": "gae_broker.taskqueue",
        "google.appengine.api.labs.taskqueue.taskqueue": "gae_broker.taskqueue.taskqueue",
        "google.appengine.ext.deferred": "gae_broker.deferred",
        "google.appengine.ext.deferred.deferred": "gae_broker.deferred.deferred",
    }
)
"""Always replaced."""

OURS: Mapping[str, str] = MappingProxyType({name: name for name in MODULES.values()})
"""What is ours already: looked at, so that a second run finds what the first one left."""

TESTBED = "google.appengine.ext.testbed"
OUR_TESTBED = "gae_broker.testing.testbed"
"""Replaced in tests that need no other service."""

PACKAGES = frozenset({"google.appengine.api", "google.appengine.api.labs", "google.appengine.ext"})
"""Where App Engine's modules lie, beside others that are none of our business."""

DEFERRED = frozenset(name for name in MODULES if ".deferred" in name) | {
    "gae_broker.deferred",
    "gae_broker.deferred.deferred",
}
"""All names of the deferred library, theirs and ours."""

DEFERRED_PATH = "/_ah/queue/deferred"
MIDDLEWARE = "gae_broker_adapters.wsgi"
MIDDLEWARE_CLASS = "TaskQueueMiddleware"

MOUNT = f"wrap the WSGI application: {MIDDLEWARE}.{MIDDLEWARE_CLASS}(app, deferred=True)"

_TESTBED_NAMES = frozenset(
    {
        "APP_IDENTITY_SERVICE_NAME",
        "BLOBSTORE_SERVICE_NAME",
        "CAPABILITY_SERVICE_NAME",
        "CHANNEL_SERVICE_NAME",
        "DATASTORE_SERVICE_NAME",
        "DEFAULT_APP_ID",
        "DEFAULT_AUTH_DOMAIN",
        "DEFAULT_ENVIRONMENT",
        "DEFAULT_SERVER_NAME",
        "DEFAULT_SERVER_PORT",
        "DEFAULT_SERVER_SOFTWARE",
        "Error",
        "FILES_SERVICE_NAME",
        "IMAGES_SERVICE_NAME",
        "INIT_STUB_METHOD_NAMES",
        "LOG_SERVICE_NAME",
        "MAIL_SERVICE_NAME",
        "MEMCACHE_SERVICE_NAME",
        "MODULES_SERVICE_NAME",
        "NotActivatedError",
        "SEARCH_SERVICE_NAME",
        "SUPPORTED_SERVICES",
        "StubNotSupportedError",
        "TASKQUEUE_SERVICE_NAME",
        "Testbed",
        "URLFETCH_SERVICE_NAME",
        "USER_SERVICE_NAME",
        "XMPP_SERVICE_NAME",
        "taskqueue_stub",
    }
)

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "taskqueue_stub": "use gae_broker.testing.testbed, or gae_broker.testing.stub.TaskQueueServiceStub and its "
        "bench.install()",
        "taskqueue_service_pb": "there are no protocol buffers here: call the API instead",
        "taskqueue_service_pb2": "there are no protocol buffers here: call the API instead",
        "taskqueue_service_bytes_pb2": "there are no protocol buffers here: call the API instead",
    }
)
_OTHERWISE = "use a name of docs/reference, or keep App Engine's name through gae_broker_adapters.appengine"


def split(name: str, modules: Mapping[str, str]) -> tuple[str, tuple[str, ...]] | None:
    """The module of App Engine's that a dotted name lies in, the longest one, and what follows; ``None``: in none."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if module in modules:
            return module, tuple(parts[length:])
    return None


def offers(module: str, members: tuple[str, ...]) -> bool:
    """Whether one of our modules has such a member, and that one the next, ...

    Args:
        module: ours, by its dotted name.
        members: from the module inwards; none is always there.
    """
    if not members:
        return True
    if module == OUR_TESTBED:
        # gae_broker.testing stands beside this package in the layers, so its names are written down and tested.
        return members[0] in _TESTBED_NAMES
    found: object = importlib.import_module(module)
    for member in members:
        # What an object gets when it is made cannot be seen on its class.
        if not hasattr(found, member):
            return False
        found = getattr(found, member)
    return True


def advice(member: str) -> str:
    """What to do about a member that we do not have."""
    return ADVICE.get(member, _OTHERWISE)
