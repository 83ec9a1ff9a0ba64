"""The environment variables that App Engine's testbed sets, and their restoration."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "APPLICATION_ID": "testbed-test",
        "AUTH_DOMAIN": "gmail.com",
        "CURRENT_MODULE_ID": "default",
        "CURRENT_VERSION_ID": "testbed-version",
        "GAE_APPLICATION": "testbed-test",
        "GAE_RUNTIME": f"python3{sys.version_info.minor}",
        "GOOGLE_CLOUD_PROJECT": "testbed-test",
        "HTTP_HOST": "testbed.example.com",
        "REQUEST_ID_HASH": "testbed-request-id-hash",
        "REQUEST_LOG_ID": "7357B3D7091D",
        "SERVER_NAME": "testbed.example.com",
        "SERVER_PORT": "80",
        "SERVER_SOFTWARE": "Development/1.0 (testbed)",
        "USER_EMAIL": "",
        "USER_ID": "",
    },
)
"""What `google.appengine.ext.testbed` of release 3.1.0 sets where a variable is not set yet."""


class Environment:
    """The process's environment, as it was when this object was made, and a way back to it."""

    def __init__(self) -> None:
        self._original = dict(os.environ)

    def set(self, overwrite: bool, variables: Mapping[str, str]) -> None:
        """Set variables (names in upper case), and App Engine's defaults unless ``overwrite``.

        Without ``overwrite`` a variable that is set already keeps its value. ``APP_ID`` stands for the
        application's id and its Cloud project, as in App Engine's testbed.
        """
        wanted = dict(variables)
        app_id = wanted.pop("APP_ID", None) or wanted.get("GAE_APPLICATION")
        if app_id:
            wanted.setdefault("GAE_APPLICATION", app_id)
            wanted.setdefault("APPLICATION_ID", app_id)
            wanted.setdefault("GOOGLE_CLOUD_PROJECT", app_id.partition("~")[2] or app_id)
        if not overwrite:
            wanted = {**DEFAULT_ENVIRONMENT, **wanted}
        for name, value in wanted.items():
            if overwrite or name not in os.environ:
                os.environ[name] = value

    def restore(self) -> None:
        """Put every variable back, whoever changed it."""
        for name in set(os.environ) - set(self._original):
            del os.environ[name]
        for name, value in self._original.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
