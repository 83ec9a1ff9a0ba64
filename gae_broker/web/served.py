"""The application that this process serves, under a name by which the dispatcher finds the very same object.

Targets are named by text, ``module:attribute``, and a factory would make a second application. So the development
server puts its application here, and names this place.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gae_broker.engine.targets.applications import Application, Interface
from gae_broker.engine.targets.asgi import AsgiApplication, Message, Receive, Scope, Send

application: object = None
"""What the dispatcher calls."""


class OnServersLoop:
    """An ASGI application whose requests run on the server's loop, whoever calls it on whichever loop.

    What such an application opens at its start (pools, locks) belongs to that loop.
    """

    def __init__(self, app: AsgiApplication) -> None:
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state: dict[str, Any] = {}

    def served(self, loop: asyncio.AbstractEventLoop, state: dict[str, Any]) -> None:
        """The application has started on this loop, and left this state for its requests."""
        self._loop, self._state = loop, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its lifespan is the server's business."""
        if scope["type"] != "http" or self._loop is None:
            raise RuntimeError(f"{scope['type']} is not for this caller")
        caller, server = asyncio.get_running_loop(), self._loop

        async def receive_there() -> Message:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_message(receive), caller))

        async def send_there(message: Message) -> None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_sent(send, message), caller))

        there = {**scope, "state": dict(self._state)}
        request = _answered(self._app, there, receive_there, send_there)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(request, server))


async def _message(receive: Receive) -> Message:
    return await receive()


async def _sent(send: Send, message: Message) -> None:
    await send(message)


async def _answered(app: AsgiApplication, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def serve(found: Application) -> str:
    """Put an application here; the target that names it."""
    global application  # noqa: PLW0603 - the one place of this process
    application = found.app
    interface = "asgi" if found.interface is Interface.ASGI else "wsgi"
    return f"{interface}+{__name__}:application"
