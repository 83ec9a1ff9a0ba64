"""Ports for servers that keep them when they are started again."""

from __future__ import annotations

import random
import socket

_RANGE = range(20_000, 32_000)
"""Below what Linux hands out for outgoing connections, so that none takes the port while its server is down."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    for port in random.sample(_RANGE, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port in {_RANGE}")
