"""Flask extension: task requests are verified, deferred calls served, settings read from the application's config.

::

    from gae_broker_adapters.flask import GaeBroker

    GaeBroker(app)        # or, in a factory: broker = GaeBroker() ... broker.init_app(app)
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, request

from gae_broker import deferred as deferred_library
from gae_broker.application_configuration import Found
from gae_broker.cli.root import root
from gae_broker.domain.task_headers import TaskHeaders
from gae_broker.engine import runtime
from gae_broker.errors import ConfigurationError, SettingsError
from gae_broker.settings import Settings, from_variables, unknown_variables
from gae_broker_adapters.current_task import current_task
from gae_broker_adapters.guard import DEFERRED_PATH, ReplayMemory
from gae_broker_adapters.wsgi import TaskQueueMiddleware

__all__ = ["EXTENSION", "GaeBroker", "TaskHeaders", "current_task", "run_deferred"]

EXTENSION = "gae_broker"
"""The key of the extension's `State` in ``app.extensions``."""

COMMAND = "gae-broker"
ENDPOINT = "gae_broker_deferred"


@dataclass(frozen=True, slots=True)
class State:
    """What the extension keeps with an application.

    Attributes:
        settings: those that the application's requests are verified by.
    """

    settings: Settings


class GaeBroker:
    """Task queues in a Flask application.

    - The dispatcher's requests reach views as on App Engine: from 0.1.0.2, with ``X-AppEngine-*`` headers, and with
      `current_task` telling what these say. All other requests lose such headers, and get 403 for ``/_ah/queue/*``.
    - ``/_ah/queue/deferred`` is a view of the application: its hooks, error handlers and teardowns run around calls.
    - ``app.config["GAE_BROKER_URL"]`` and so on are settings; environment variables of the same names are stronger.
      They are the process's: where several applications have different ones, those of the last count.
    - ``flask gae-broker`` is the command line, with these settings.

    Args:
        app: the application; without one, call `init_app`.
        deferred: serve ``/_ah/queue/deferred``.
        signed_paths: paths that only the dispatcher may ask for, besides those of the settings: ``/tasks`` is that and
            all below it.
        stripped_prefix: what a proxy takes off each path before the request comes here.
        replays: where received signatures are remembered; in this process by default.

    Raises:
        ConfigurationError: as `init_app`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        deferred: bool = True,
        signed_paths: Iterable[str] = (),
        stripped_prefix: str = "",
        replays: ReplayMemory | None = None,
    ) -> None:
        self._deferred = deferred
        self._signed_paths = tuple(signed_paths)
        self._stripped_prefix = stripped_prefix
        self._replays = replays
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Begin with an application; its config is read now.

        Raises:
            ConfigurationError: a setting cannot be used, or the application has the extension already.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                f"the application {app.name!r} has its GaeBroker already; make one per application"
            )
        found = _configured(app)
        if found:
            runtime.configure(lambda: found)
        settings = Settings.load()
        app.wsgi_app = TaskQueueMiddleware(  # type: ignore[method-assign]  # as Flask would have it
            app.wsgi_app,
            settings=settings,
            signed_paths=self._signed_paths,
            stripped_prefix=self._stripped_prefix,
            replays=self._replays,
        )
        if self._deferred:
            app.add_url_rule(DEFERRED_PATH, ENDPOINT, run_deferred, methods=["POST"])
        app.cli.add_command(root, COMMAND)
        app.extensions[EXTENSION] = State(settings)


def run_deferred() -> tuple[str, HTTPStatus, list[tuple[str, str]]]:
    """The view that makes deferred calls; what a call raises goes the way of any view's errors.

    With Flask-WTF: ``csrf.exempt("gae_broker_adapters.flask.run_deferred")``.
    """
    # Not the server's stream: a hook that looked at the request's data has read it.
    body = request.get_data()
    environ = {**request.environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return deferred_library.Handler().post(environ)


def _configured(app: Flask) -> Found:
    """The settings in an application's config.

    Raises:
        SettingsError: a key looks like one, and is none; or a secret's file cannot be read.
    """
    misspelt = unknown_variables(dict.fromkeys(app.config, ""))
    if misspelt:
        raise SettingsError(f"app.config: {'; '.join(misspelt)}")
    return from_variables(app.config, "app.config['{}']")
