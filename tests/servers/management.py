"""RabbitMQ's management API, as far as tests need it."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Management:
    """The API of one node.

    Attributes:
        url: ``http://user:password@host:port``.
    """

    url: str

    def call(self, method: str, path: str, body: object = None) -> object:
        """Call ``/api/<path>``; the parsed answer, ``None`` where it has no body.

        Raises:
            OSError: the server does not answer, or answers with an error.
        """
        split = urlsplit(self.url)
        request = urllib.request.Request(
            f"http://{split.hostname}:{split.port}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        login = base64.b64encode(f"{split.username}:{split.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                text = response.read()
        except urllib.error.HTTPError as exc:
            with exc:
                raise OSError(f"{method} /api/{path}: {exc.code} {exc.read().decode()}") from exc
        return json.loads(text) if text else None

    def is_ready(self) -> bool:
        """Whether the node answers."""
        try:
            self.call("GET", "overview")
        except (OSError, ValueError):
            return False
        return True

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """A new virtual host's name; it and what is in it are deleted afterwards."""
        name = f"test-{secrets.token_hex(5)}"
        self.call("PUT", f"vhosts/{name}", {})
        user = quote(urlsplit(self.url).username or "", safe="")
        self.call("PUT", f"permissions/{name}/{user}", {"configure": ".*", "write": ".*", "read": ".*"})
        yield name
        self.call("DELETE", f"vhosts/{name}")
