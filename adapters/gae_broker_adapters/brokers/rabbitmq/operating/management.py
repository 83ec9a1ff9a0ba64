"""RabbitMQ's management API, read only: what AMQP cannot tell (bindings, arguments, policies, alarms, all queues).

It may be missing, elsewhere, or closed to this user; then `ManagementError` says so, and nobody depends on it.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from typing import Any, cast
from urllib.parse import quote, unquote, urlencode, urlsplit

from gae_broker.errors import SettingsError
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location, address

_PORT, _TLS_PORT = 15672, 15671
_TIMEOUT_S = 3.0
_UNAUTHORIZED = (401, 403)


class ManagementError(Exception):
    """The API cannot be used; the text says why, without a password."""


class Management:
    """The API, for one virtual host.

    Args:
        url: ``http(s)://user:password@host:port``; empty: the usual port of the broker's first host, and its user.
        location: the broker.

    Raises:
        SettingsError: the URL is malformed.
    """

    def __init__(self, url: str, location: Location) -> None:
        first = location.parameters[0]
        tls = first.ssl_options
        if not url:
            url = f"https://{address(first.host, _TLS_PORT)}" if tls else f"http://{address(first.host, _PORT)}"
        try:
            split = urlsplit(url)
            port = split.port or (443 if split.scheme == "https" else 80)
        except ValueError as exc:
            raise SettingsError(f"management URL: {exc}") from exc
        if split.scheme not in ("http", "https") or not split.hostname:
            raise SettingsError("management URL: expected http(s)://user:password@host:port")
        self._where = f"{split.scheme}://{address(split.hostname, port)}{split.path.rstrip('/')}"
        self.user = unquote(split.username) if split.username else str(getattr(first.credentials, "username", ""))
        password = unquote(split.password or "") if split.username else str(getattr(first.credentials, "password", ""))
        self._login = base64.b64encode(f"{self.user}:{password}".encode()).decode()
        context = tls.context if tls else ssl.create_default_context()
        # No proxy of the environment: the broker is on our side of it.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
        )
        self._virtual_host = quote(location.virtual_host, safe="")

    def __str__(self) -> str:
        return self._where

    def listing(self, what: str, **query: str) -> list[dict[str, Any]]:
        """Everything of a kind in the virtual host: ``queues``, ``exchanges``, ``bindings``.

        Raises:
            ManagementError: the API cannot be used.
        """
        found = self.get(f"{what}/{self._virtual_host}", **query)
        if not isinstance(found, list):
            raise ManagementError(f"{self} answered {what} with something else than a list")
        return cast("list[dict[str, Any]]", found)

    def get(self, path: str, **query: str) -> object:
        """The answer to ``GET /api/<path>``.

        Raises:
            ManagementError: the API cannot be used.
        """
        url = f"{self._where}/api/{path}" + (f"?{urlencode(query)}" if query else "")
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {self._login}"})  # noqa: S310 - http(s) only
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                return cast("object", json.load(response))
        except urllib.error.HTTPError as exc:
            with exc:
                raise ManagementError(self._refusal(exc.code, path)) from exc
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "reason", None) or exc
            raise ManagementError(f"the management API at {self} cannot be reached ({reason})") from exc

    def _refusal(self, code: int, path: str) -> str:
        if code in _UNAUTHORIZED:
            return f"the management API at {self} does not let user {self.user!r} read {path.partition('/')[0]}"
        return f"the management API at {self} answered {code} to {path.partition('/')[0]}"
