"""``google.appengine.api.wrap_wsgi_app``, in which Python 3 programs wrap themselves, without Google's library."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gae_broker import deferred
from gae_broker.settings import Settings
from gae_broker.taskqueue.surroundings import request_environ
from gae_broker_adapters.guard import DEFERRED_PATH
from gae_broker_adapters.wsgi import TaskQueueMiddleware


def wrap_wsgi_app(
    app: WSGIApplication,
    use_legacy_context_mode: bool = True,  # noqa: ARG001 - App Engine's signature
    use_deferred: bool = False,
) -> WSGIApplication:
    """A WSGI application whose Tasks know the request they are made in, deferred's handler before it if wanted.

    With signing keys it is `TaskQueueMiddleware`, so task requests are verified. Without any, requests are believed as
    App Engine's were, but by deferred's handler, which looks at the address they come from.
    """
    settings = Settings.load()
    if settings.signing_keys:
        return TaskQueueMiddleware(app, settings=settings, deferred=use_deferred)

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        token = request_environ.set(environ)
        try:
            if use_deferred and environ.get("PATH_INFO") == DEFERRED_PATH:
                return deferred.application(environ, start_response)
            return app(environ, start_response)
        finally:
            request_environ.reset(token)

    return wrapped
