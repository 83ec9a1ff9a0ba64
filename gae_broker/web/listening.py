"""Sockets to listen on."""

from __future__ import annotations

import os
import socket


def listen(address: str, flag: str) -> socket.socket:
    """A socket that listens.

    Args:
        address: ``host:port`` or ``[::1]:port``; port 0 is any that is free.
        flag: what the error recommends to choose another with.

    Raises:
        OSError: the port cannot be had.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family)
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        raise OSError(exc.errno, f"{address} cannot be had ({why}); choose another with {flag}") from exc


def address_of(sock: socket.socket) -> str:
    """Where a socket listens: ``127.0.0.1:8081``."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
