"""Requests from outside: what only the task queue may say is taken from them, as App Engine's front end did."""

from __future__ import annotations

from gae_broker.engine.targets.asgi import AsgiApplication, Receive, Scope, Send

_RESERVED = (b"x-appengine-", b"x-gaebroker-")


class Outside:
    """An ASGI application, without the ``X-AppEngine-*`` headers of its requests.

    A handler that sees ``X-AppEngine-QueueName`` may then trust it: the dispatcher does not come this way.
    """

    def __init__(self, app: AsgiApplication) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on."""
        if "headers" in scope:
            # Servers of CGI's kind make one variable of X-AppEngine-A and X_AppEngine_A.
            kept = [item for item in scope["headers"] if not _normal(item[0]).startswith(_RESERVED)]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


def _normal(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")
