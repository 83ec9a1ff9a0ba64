"""Where a task is made: the request's and the process's variables, the namespace, the time. Read at call time only.

App Engine took these from ``os.environ`` and its request context. Web integrations put a request's WSGI environ into
`request_environ`; a host with other sources replaces the whole with `use`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Protocol

from gae_broker.engine import runtime

HTTP_HOST = "HTTP_HOST"
DEFAULT_VERSION_HOSTNAME = "DEFAULT_VERSION_HOSTNAME"
CURRENT_NAMESPACE = "X-AppEngine-Current-Namespace"
DEFAULT_NAMESPACE = "X-AppEngine-Default-Namespace"
_CURRENT_KEY = "HTTP_X_APPENGINE_CURRENT_NAMESPACE"
_DEFAULT_KEY = "HTTP_X_APPENGINE_DEFAULT_NAMESPACE"

request_environ: ContextVar[Mapping[str, object] | None] = ContextVar("gae_broker_request_environ", default=None)
"""The WSGI environ of the request being served, ``None`` outside of one."""


class Surroundings(Protocol):
    """What `Task` wants to know of the place it is made in."""

    def variable(self, name: str) -> str | None:
        """A variable of the request or the process, ``None`` where it is not set."""

    def namespace(self) -> str:
        """The current namespace; the task will run in it. ``""`` is the default one."""

    def apps_namespace(self) -> str | None:
        """The Google Apps domain of the request, ``None`` where there is none."""


class ProcessSurroundings:
    """The request's environ first, then the process's; namespaces of google-cloud-ndb where that is in use."""

    def variable(self, name: str) -> str | None:
        """A variable of the request being served, or of the process."""
        environ = request_environ.get()
        value = None if environ is None else environ.get(name)
        if isinstance(value, str):
            return value
        return os.environ.get(name) if _is_set(name) else None

    def namespace(self) -> str:
        """google-cloud-ndb's where a context of it is entered, else the request's header, else ``""``."""
        # Asked only if the application imported it: it costs a second to import, and without it nothing is entered.
        ndb = sys.modules.get("google.cloud.ndb.context")
        context = None if ndb is None else ndb.get_context(raise_context_error=False)
        namespace = None if context is None else context.get_namespace()
        return str(namespace) if namespace else self.variable(_CURRENT_KEY) or ""

    def apps_namespace(self) -> str | None:
        """What the request's ``X-AppEngine-Default-Namespace`` says."""
        return self.variable(_DEFAULT_KEY)


def _is_set(name: str) -> bool:
    """Whether the process has a variable. Asked four times for each Task, and mostly in vain.

    To find nothing, ``in os.environ`` encodes the name, raises and catches: five times what its own dict takes.
    """
    variables = getattr(os.environ, "_data", None)
    return name in os.environ if variables is None else _encoded(name) in variables


_encoded = lru_cache(maxsize=64)(getattr(os.environ, "encodekey", str))
_current: Surroundings = ProcessSurroundings()


def current() -> Surroundings:
    """The surroundings in force."""
    return _current


def use(surroundings: Surroundings) -> Surroundings:
    """Take these surroundings for the whole process; the previous ones."""
    global _current
    previous, _current = _current, surroundings
    return previous


def now() -> float:
    """Seconds since the epoch, by the runtime's clock where one is open, so that tests can move it; opens none."""
    return runtime.now_us() / 1_000_000
