"""App Engine's testbed, for the task queue: ``from gae_broker.testing import testbed``.

Before: ``from google.appengine.ext import testbed``. The rest of a test stays as it is::

    self.testbed = testbed.Testbed()
    self.testbed.activate()
    self.testbed.init_taskqueue_stub(root_path=".")
    self.taskqueue_stub = self.testbed.get_stub(testbed.TASKQUEUE_SERVICE_NAME)
    ...
    self.testbed.deactivate()

Differs from App Engine: the task queue is the only service here. A suite that needs the others, too, keeps Google's
testbed for them and activates both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Never, cast

from gae_broker.engine import runtime as runtimes
from gae_broker.engine.runtime import Runtime, SystemClock
from gae_broker.settings import Settings
from gae_broker.testing import apiproxy_stub_map
from gae_broker.testing import stub as taskqueue_stub
from gae_broker.testing.environment import DEFAULT_ENVIRONMENT, Environment
from gae_broker.testing.stub import TaskQueueServiceStub

__all__ = [
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
    "FILES_SERVICE_NAME",
    "IMAGES_SERVICE_NAME",
    "INIT_STUB_METHOD_NAMES",
    "LOG_SERVICE_NAME",
    "MAIL_SERVICE_NAME",
    "MEMCACHE_SERVICE_NAME",
    "MODULES_SERVICE_NAME",
    "SEARCH_SERVICE_NAME",
    "SUPPORTED_SERVICES",
    "TASKQUEUE_SERVICE_NAME",
    "URLFETCH_SERVICE_NAME",
    "USER_SERVICE_NAME",
    "XMPP_SERVICE_NAME",
    "Error",
    "NotActivatedError",
    "StubNotSupportedError",
    "Testbed",
    "taskqueue_stub",
]

TASKQUEUE_SERVICE_NAME = "taskqueue"
DEFAULT_APP_ID = DEFAULT_ENVIRONMENT["GAE_APPLICATION"]
DEFAULT_AUTH_DOMAIN = DEFAULT_ENVIRONMENT["AUTH_DOMAIN"]
DEFAULT_SERVER_NAME = DEFAULT_ENVIRONMENT["SERVER_NAME"]
DEFAULT_SERVER_PORT = DEFAULT_ENVIRONMENT["SERVER_PORT"]
DEFAULT_SERVER_SOFTWARE = DEFAULT_ENVIRONMENT["SERVER_SOFTWARE"]

_FROM_HEADER = "http_x_appengine_"
_OTHER_SERVICES = {
    "init_app_identity_stub": "app_identity_service",
    "init_blobstore_stub": "blobstore",
    "init_capability_stub": "capability_service",
    "init_channel_stub": "channel",
    "init_datastore_v3_stub": "datastore_v3",
    "init_files_stub": "file",
    "init_images_stub": "images",
    "init_logservice_stub": "logservice",
    "init_mail_stub": "mail",
    "init_memcache_stub": "memcache",
    "init_modules_stub": "modules",
    "init_search_stub": "search",
    "init_urlfetch_stub": "urlfetch",
    "init_user_stub": "user",
    "init_xmpp_stub": "xmpp",
}


APP_IDENTITY_SERVICE_NAME = "app_identity_service"
BLOBSTORE_SERVICE_NAME = "blobstore"
CAPABILITY_SERVICE_NAME = "capability_service"
CHANNEL_SERVICE_NAME = "channel"
DATASTORE_SERVICE_NAME = "datastore_v3"
FILES_SERVICE_NAME = "file"
IMAGES_SERVICE_NAME = "images"
LOG_SERVICE_NAME = "logservice"
MAIL_SERVICE_NAME = "mail"
MEMCACHE_SERVICE_NAME = "memcache"
MODULES_SERVICE_NAME = "modules"
SEARCH_SERVICE_NAME = "search"
URLFETCH_SERVICE_NAME = "urlfetch"
USER_SERVICE_NAME = "user"
XMPP_SERVICE_NAME = "xmpp"
INIT_STUB_METHOD_NAMES = {
    TASKQUEUE_SERVICE_NAME: "init_taskqueue_stub",
    **{service: method for method, service in _OTHER_SERVICES.items()},
}
SUPPORTED_SERVICES = [TASKQUEUE_SERVICE_NAME]


class Error(Exception):
    """Base of the testbed's errors."""


class NotActivatedError(Error):
    """The testbed is not activated; call ``activate()`` first."""


class StubNotSupportedError(Error):
    """There is no stub for this service here."""


class Testbed:
    """Puts a task queue in memory in the place of the real one, from `activate` to `deactivate`."""

    __test__ = False  # pytest would take it for a class of tests

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._previous: Runtime | None = None
        self._original_stub_map: apiproxy_stub_map.APIProxyStubMap | None = None
        self._test_stub_map: apiproxy_stub_map.APIProxyStubMap | None = None
        self._stub: TaskQueueServiceStub | None = None

    def activate(self, use_datastore_emulator: bool = False) -> None:
        """Set the environment variables that App Engine's libraries need, and cut off the real task queue.

        Raises:
            StubNotSupportedError: the Datastore emulator was asked for.
        """
        if use_datastore_emulator:
            raise StubNotSupportedError("the Datastore emulator is not here: this testbed has the task queue alone")
        if self._environment is None:
            self._environment = Environment()
            self._previous = runtimes.use(absent())
            self._original_stub_map = apiproxy_stub_map.apiproxy
            self._test_stub_map = apiproxy_stub_map.APIProxyStubMap()
            apiproxy_stub_map.apiproxy = self._test_stub_map
        self.setup_env()

    def deactivate(self) -> None:
        """Put back the environment, and the task queue that was there before.

        Raises:
            NotActivatedError: it is not activated.
        """
        environment = self._active()
        try:
            self._close_stub()
        finally:
            runtimes.use(self._previous)
            if self._original_stub_map is not None:
                apiproxy_stub_map.apiproxy = self._original_stub_map
            self._previous = self._environment = self._original_stub_map = self._test_stub_map = None
            environment.restore()

    def setup_env(self, overwrite: bool = False, **kwargs: str) -> None:
        """Set environment variables, by their names in lower case, and App Engine's defaults.

        Args:
            overwrite: replace variables that are set; then the defaults are left out.
            **kwargs: the variables; ``app_id`` is the application's id.
        """
        environment = self._environment or Environment()
        environment.set(overwrite, {name.upper(): value for name, value in kwargs.items()})

    def setup_wsgi_env(self, **kwargs: str) -> None:
        """Set what a request says, by its WSGI names in lower case: ``http_host``, ``http_x_appengine_auth_domain``.

        Differs from App Engine: there is no request context here, so the environment's variables are set.
        """
        self.setup_env(True, **{name.removeprefix(_FROM_HEADER): value for name, value in kwargs.items()})

    def init_taskqueue_stub(self, enable: bool = True, **stub_kw_args: Any) -> None:  # noqa: ANN401
        """Start an empty task queue, or with ``enable=False`` take it away.

        Args:
            enable: whether there shall be one.
            **stub_kw_args: arguments of `TaskQueueServiceStub`.

        Raises:
            NotActivatedError: the testbed is not activated.
            QueueYamlError: queue.yaml cannot be used.
        """
        self._active()
        self._close_stub()
        if enable:
            self._use(TaskQueueServiceStub(**stub_kw_args))

    def init_all_stubs(self, enable: bool = True) -> None:
        """`init_taskqueue_stub`: there are no others."""
        self.init_taskqueue_stub(enable)

    @property
    def _activated(self) -> bool:
        """Private on App Engine too, and asked by suites."""
        return self._environment is not None

    def _register_stub(self, service_name: str, stub: TaskQueueServiceStub) -> None:
        """Use a stub that the suite made itself, as App Engine's; private there too."""
        self._active()
        if service_name != TASKQUEUE_SERVICE_NAME:
            raise _unsupported(service_name)
        self._close_stub()
        self._use(stub)

    def get_stub(self, service_name: str) -> TaskQueueServiceStub | None:
        """The task queue's stub, ``None`` before `init_taskqueue_stub`.

        Raises:
            NotActivatedError: the testbed is not activated.
            StubNotSupportedError: another service was asked for.
        """
        self._active()
        if service_name != TASKQUEUE_SERVICE_NAME:
            raise _unsupported(service_name)
        return self._stub

    def __getattr__(self, name: str) -> Callable[..., None]:
        """App Engine's other ``init_*_stub`` methods: calling one raises `StubNotSupportedError`."""
        service = _OTHER_SERVICES.get(name)
        if service is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return partial(_refuse, service)

    def _active(self) -> Environment:
        if self._environment is None:
            raise NotActivatedError("The testbed is not activated.")
        return self._environment

    def _use(self, stub: TaskQueueServiceStub) -> None:
        self._stub = stub
        stub.bench.install()
        if self._test_stub_map is not None:
            self._test_stub_map.ReplaceStub(TASKQUEUE_SERVICE_NAME, stub)

    def _close_stub(self) -> None:
        stub, self._stub = self._stub, None
        if stub is not None:
            stub.close()
        if self._test_stub_map is not None:
            self._test_stub_map.ReplaceStub(TASKQUEUE_SERVICE_NAME, None)


def _refuse(service: str, enable: bool = True, **_stub_kw_args: object) -> None:
    if enable:
        raise _unsupported(service)


def _unsupported(service: str) -> StubNotSupportedError:
    return StubNotSupportedError(
        f'The "{service}" service is not supported by testbed: gae-broker has the task queue alone; '
        "initialise other stubs in google.appengine.ext.testbed",
    )


class _NoTaskQueue:
    """Stands where the runtime would, so that a test never reaches the real task queue by mistake.

    It knows the time and the defaults, so that a `Task` and a deferred call can be made.
    """

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.settings = Settings()

    def __getattr__(self, name: str) -> Never:
        raise AssertionError(f'No api proxy found for service "{TASKQUEUE_SERVICE_NAME}"')


def absent() -> Runtime:
    """What an active testbed without the task queue's stub has in the place of a runtime."""
    return cast("Runtime", _NoTaskQueue())
