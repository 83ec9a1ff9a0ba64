"""What stands around the application: a line for each request, and methods in a header."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gae_broker.web.rest.leases import LEASED

_log = logging.getLogger("gae_broker.access")
CALLER = "gae_broker.caller"
"""Key of the scope: whose token was shown."""
_OVERRIDE = b"x-http-method-override"
_OVERRIDES = frozenset({"GET", "PATCH", "DELETE"})
_SHOWN = 300
_PROBES = frozenset({"/livez", "/healthz", "/readyz"})


class AccessLog:
    """Logs a line for each request that is no probe: who, what, how it ended. No query, no header, no body.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log how it ended."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0
        sent = 0

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            _line(scope, status, sent, time.monotonic() - began)


def _line(scope: Scope, status: int, sent: int, duration_s: float) -> None:
    # As it came, still percent-encoded: no line break gets into the log.
    path = (scope.get("raw_path") or b"").partition(b"?")[0].decode("ascii", "backslashreplace")[:_SHOWN]
    facts = {
        "event": "rest.request",
        "caller": scope.get(CALLER) or None,
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        "path": path,
        "status": status or None,
        "bytes": sent,
        "duration_s": round(duration_s, 4),
    }
    text = "%s %s %s: %s, %d bytes in %d ms"
    values: list[object] = [facts["caller"] or facts["client"], scope["method"], path, status or "aborted", sent]
    if LEASED in scope:
        facts["leased"] = scope[LEASED]
        text += ", %d tasks leased"
        _log.info(text, *values, round(duration_s * 1000), scope[LEASED], extra=facts)
        return
    _log.info(text, *values, round(duration_s * 1000), extra=facts)


class MethodOverride:
    """Takes a POST for what its ``X-HTTP-Method-Override`` says: some clients and proxies know no PATCH.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the method that is meant."""
        if scope["type"] == "http" and scope["method"] == "POST":
            named = next((value for name, value in scope["headers"] if name == _OVERRIDE), b"")
            method = named.decode("ascii", "replace").strip().upper()
            if method in _OVERRIDES:
                scope = {**scope, "method": method}
        await self._app(scope, receive, send)
