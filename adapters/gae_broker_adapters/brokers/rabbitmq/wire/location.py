"""``amqp://`` and ``amqps://`` URLs as connection parameters; several hosts are the nodes of one cluster.

``amqp://user:password@host1,host2:5673,[2001:db8::3]/vhost?heartbeat=10``. User, password and virtual host are
percent-decoded. With ``amqps`` the server's certificate and host name are verified.

| option | meaning | default |
|---|---|---|
| ``heartbeat`` | seconds between heartbeats; a connection silent for two of them and a bit is given up | 3 |
| ``connection_timeout`` | seconds for TCP to a host; twice that with TLS and login | 5, of several hosts 3 |
| ``cafile`` | PEM file of the authorities that may sign the server's certificate | the system's |
| ``certfile``, ``keyfile`` | PEM files of this client's certificate and key | none |
| ``server_name`` | the name that the server's certificate must bear | the host's |
"""

from __future__ import annotations

import copy
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import pika

from gae_broker.errors import SettingsError

_PORTS = {"amqp": 5672, "amqps": 5671}
_TLS_OPTIONS = frozenset({"cafile", "certfile", "keyfile", "server_name"})
_OPTIONS = frozenset({"heartbeat", "connection_timeout"}) | _TLS_OPTIONS
_HEARTBEAT_S = 3
"""Two missed ones close a connection: a black-holed dispatcher is replaced within 15 seconds."""
_CONNECT_S, _CONNECT_ONE_OF_S = 5.0, 3.0
_LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Location:
    """Where the broker is; neither `repr` nor `str` shows user or password."""

    hosts: tuple[tuple[str, int], ...]
    virtual_host: str
    parameters: tuple[pika.ConnectionParameters, ...]

    def __repr__(self) -> str:
        return f"Location({self})"

    def __str__(self) -> str:
        hosts = ",".join(address(host, port) for host, port in self.hosts)
        return f"{hosts}{'/' if self.virtual_host == '/' else '/' + self.virtual_host}"

    def tour(self, start: int, role: str) -> Iterator[tuple[str, pika.ConnectionParameters]]:
        """Each host once: its address for people, and how to connect to it.

        Args:
            start: which host comes first, counted round and round.
            role: what the connection is for, to be read in RabbitMQ's console.
        """
        for turn in range(len(self.hosts)):
            index = (start + turn) % len(self.hosts)
            parameters = copy.copy(self.parameters[index])
            name = f"{role}, process {os.getpid()} on {socket.gethostname()}"
            parameters.client_properties = {**(parameters.client_properties or {}), "connection_name": name}
            yield address(*self.hosts[index]), parameters


def parse(url: str, name: str = "gae-broker") -> Location:
    """The location that a URL names.

    Args:
        url: see the module's docstring.
        name: the connections' name in RabbitMQ's console where they are given no other.

    Raises:
        SettingsError: the URL is malformed, or a file it names cannot be read; no text repeats user or password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _PORTS:
        raise SettingsError(f"broker URL {scheme[:20]}://...: unknown scheme, known are {', '.join(sorted(_PORTS))}")
    fault = _Fault(scheme)
    login, hosts, path, query = _split(rest, fault)
    options = _options(query, fault)
    addresses = tuple(_host(entry, number, fault) for number, entry in enumerate(hosts.split(","), 1))
    virtual_host = unquote(path) or "/"
    timeout_s = _number(options, "connection_timeout", _CONNECT_S if len(addresses) == 1 else _CONNECT_ONE_OF_S, fault)
    heartbeat_s = max(1, round(_number(options, "heartbeat", _HEARTBEAT_S, fault)))
    context = _context(options, fault) if scheme == "amqps" else None
    parameters = tuple(
        pika.ConnectionParameters(
            host=host,
            port=port or _PORTS[scheme],
            virtual_host=virtual_host,
            credentials=_credentials(login),
            heartbeat=heartbeat_s,
            socket_timeout=timeout_s,
            stack_timeout=2 * timeout_s,
            blocked_connection_timeout=None,
            ssl_options=None if context is None else pika.SSLOptions(context, options.get("server_name", host)),
            client_properties={"connection_name": name, "product": "gae-broker"},
        )
        for host, port in addresses
    )
    return Location(tuple((one.host, one.port) for one in parameters), virtual_host, parameters)


class _Fault:
    """Makes the errors of one URL, of which they show the scheme alone."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme

    def __call__(self, text: str) -> SettingsError:
        return SettingsError(f"broker URL {self._scheme}://...: {text}")


def _split(rest: str, fault: _Fault) -> tuple[str | None, str, str, str]:
    """(login, hosts, path, query); by hand, as `urlsplit` knows one host and refuses several in brackets."""
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in tail or "#" in tail:
        raise fault("'/', '?', '#' and '@' in user, password and virtual host must be percent-encoded ('/' is %2F)")
    login, at, hosts = authority.rpartition("@")
    path, _, query = tail.partition("?")
    return login if at else None, hosts, path[1:], query


def _options(query: str, fault: _Fault) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise fault(f"unknown option {unknown[0]!r}, known are {', '.join(sorted(_OPTIONS))}")
    return options


def _number(options: Mapping[str, str], name: str, default: float, fault: _Fault) -> float:
    try:
        number = float(options.get(name, default))
    except ValueError:
        number = -1
    if not 0 < number < _LARGEST_PORT:
        raise fault(f"option {name} must be a number of seconds above 0, not {options[name]!r}")
    return number


def _host(entry: str, number: int, fault: _Fault) -> tuple[str, int | None]:
    """One host of the list. The texts do not repeat it: it may be a part of a password that was not encoded."""
    host, _, port = entry.rpartition("]") if entry.startswith("[") else entry.partition(":")
    host, port = host.removeprefix("["), port.removeprefix(":")
    if not host and (port or entry):
        raise fault(f"host {number} of the list has no name")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LARGEST_PORT):
        raise fault(f"the port of host {number} of the list is no number from 1 to {_LARGEST_PORT}")
    return host or "localhost", int(port) if port else None


def _credentials(login: str | None) -> pika.PlainCredentials:
    if login is None:
        return pika.PlainCredentials("guest", "guest")
    user, _, password = login.partition(":")
    return pika.PlainCredentials(unquote(user), unquote(password))


def _context(options: Mapping[str, str], fault: _Fault) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("cafile"))
        if "certfile" in options:
            context.load_cert_chain(options["certfile"], options.get("keyfile"))
    except (OSError, ValueError) as exc:
        named = ", ".join(f"{name}={options[name]}" for name in ("cafile", "certfile", "keyfile") if name in options)
        raise fault(f"{named}: cannot be used: {exc}") from exc
    return context


def address(host: str, port: int) -> str:
    """``host:port`` as URLs write it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
