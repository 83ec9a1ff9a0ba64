"""The frameworks, each with an application that remembers what it was shown, as servers call them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import flask
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from gae_broker_adapters.flask import GaeBroker, current_task
from tests.integration.forging import Wire, environ_of, scope_of
from tests.unit.frameworks.seen import SEEN, Seen


class OverWsgi:
    """What a WSGI server does with an application."""

    app: Any

    def send(self, wire: Wire, **extra: Any) -> tuple[int, bytes]:
        started: list[str] = []
        answer = self.app(environ_of(wire) | extra, lambda status, _headers, _info=None: started.append(status))
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return int(started[0][:3]), body

    def from_address(self, address: str) -> dict[str, Any]:
        return {"REMOTE_ADDR": address}

    def close(self) -> None:
        """Nothing to close."""


class Flask(OverWsgi):
    """A Flask application; settings are in its config."""

    def __init__(self, **settings: object) -> None:
        self.app = flask.Flask("front")
        self.app.config.update({f"GAE_BROKER_{name.upper()}": value for name, value in settings.items()})
        GaeBroker(self.app)
        methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        for rule in ("/", "/<path:path>"):
            self.app.add_url_rule(rule, "anything", self.anything, methods=methods)

    def anything(self, path: str = "") -> str:
        del path
        request = flask.request
        names = [name for name in request.environ if name.startswith("HTTP_")]
        headers = {name[5:].lower().replace("_", "-"): request.environ[name] for name in names}
        told = (request.environ.get("gae_broker.task"),)
        SEEN.append(Seen(headers, request.get_data(), request.remote_addr or "", told, current_task(), request.path))
        return "ok"


def overridden(settings: dict[str, object]) -> override_settings:
    """The project's settings: ours in ``GAE_BROKER``, those in capitals as they are."""
    ours = {name.upper(): value for name, value in settings.items() if not name.isupper()}
    override = override_settings(GAE_BROKER=ours, **{name: value for name, value in settings.items() if name.isupper()})
    override.enable()
    return override


def built(handler: Callable[[], Any], override: override_settings) -> Any:
    """A handler; without one there is nothing to close, so the settings are put back here."""
    try:
        return handler()
    except BaseException:
        override.disable()
        raise


class DjangoWsgi(OverWsgi):
    """The Django project under WSGI; settings are in ``GAE_BROKER``."""

    def __init__(self, **settings: object) -> None:
        self._override = overridden(settings)
        self.app = built(WSGIHandler, self._override)

    def close(self) -> None:
        self._override.disable()


class DjangoAsgi:
    """The Django project under ASGI."""

    def __init__(self, **settings: object) -> None:
        self._override = overridden(settings)
        self.app = built(ASGIHandler, self._override)
        self._runner = asyncio.Runner()

    def send(self, wire: Wire, **extra: Any) -> tuple[int, bytes]:
        return self._runner.run(self._send(scope_of(wire) | extra, wire.received))

    async def _send(self, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
        half = len(body) // 2
        messages = [
            {"type": "http.request", "body": body[:half], "more_body": True},
            {"type": "http.request", "body": body[half:], "more_body": False},
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            return await asyncio.Future()  # the client stays

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, keep)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    def from_address(self, address: str) -> dict[str, Any]:
        return {"client": (address, 1)}

    def close(self) -> None:
        self._runner.close()
        self._override.disable()


FRONTS = {"flask": Flask, "django-wsgi": DjangoWsgi, "django-asgi": DjangoAsgi}
