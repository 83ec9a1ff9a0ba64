"""``amqp://`` and ``amqps://`` URLs as connection parameters; several hosts make a list.

``amqp://user:password@host1,host2:5673/vhost?heartbeat=10`` tries the hosts in turn. With ``amqps`` the server's
certificate and hostname are verified; ``?cafile=``, ``?certfile=`` and ``?keyfile=`` name PEM files.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import pika

from gae_broker.errors import SettingsError

_PORTS = {"amqp": 5672, "amqps": 5671}
_QUERY = frozenset({"heartbeat", "cafile", "certfile", "keyfile", "connection_timeout"})
_HEARTBEAT_S = 5
"""Two missed ones close a connection: a black-holed dispatcher is replaced within 15 seconds."""
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Location:
    """Where the broker is; `repr` shows no password."""

    hosts: tuple[tuple[str, int], ...]
    virtual_host: str
    parameters: tuple[pika.ConnectionParameters, ...]

    def __repr__(self) -> str:
        return f"Location({self})"

    def __str__(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{hosts}{'/' if self.virtual_host == '/' else '/' + self.virtual_host}"


def parse(url: str, name: str = "gae-broker") -> Location:
    """The location that a URL names.

    Args:
        url: see the module's docstring.
        name: the connection's name in RabbitMQ's console.

    Raises:
        SettingsError: the URL is malformed; the text does not repeat a password.
    """
    split = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(split.query).items()}
    unknown = sorted(set(query) - _QUERY)
    if split.scheme not in _PORTS or unknown:
        what = f"unknown option {unknown[0]!r}, known are {', '.join(sorted(_QUERY))}" if unknown else "unknown scheme"
        raise SettingsError(f"broker URL {split.scheme}://...: {what}")
    hosts = tuple(_hosts(split))
    virtual_host = unquote(split.path[1:]) or "/"
    context = _context(query) if split.scheme == "amqps" else None
    credentials = pika.PlainCredentials(unquote(split.username or "guest"), unquote(split.password or "guest"))
    try:
        parameters = tuple(
            pika.ConnectionParameters(
                host=host,
                port=port,
                virtual_host=virtual_host,
                credentials=credentials,
                heartbeat=int(query.get("heartbeat", _HEARTBEAT_S)),
                socket_timeout=float(query.get("connection_timeout", _CONNECT_S)),
                stack_timeout=2 * float(query.get("connection_timeout", _CONNECT_S)),
                blocked_connection_timeout=None,
                ssl_options=None if context is None else pika.SSLOptions(context, host),
                client_properties={"connection_name": name, "product": "gae-broker"},
            )
            for host, port in hosts
        )
    except ValueError as exc:
        raise SettingsError(f"broker URL {split.scheme}://...: {exc}") from exc
    return Location(hosts, virtual_host, parameters)


def _hosts(split: SplitResult) -> list[tuple[str, int]]:
    default = _PORTS[split.scheme]
    hosts = []
    for entry in split.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{entry}")
        try:
            hosts.append((one.hostname or "localhost", one.port or default))
        except ValueError as exc:
            raise SettingsError(f"broker URL {split.scheme}://...: host {entry!r}: {exc}") from exc
    return hosts


def _context(query: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=query.get("cafile"))
        if "certfile" in query:
            context.load_cert_chain(query["certfile"], query.get("keyfile"))
    except OSError as exc:
        raise SettingsError(f"broker URL amqps://...: certificate or key file cannot be read: {exc}") from exc
    return context
