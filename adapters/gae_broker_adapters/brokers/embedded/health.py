"""What ``gae-broker check`` says of an embedded broker."""

from __future__ import annotations

import shutil
from pathlib import Path

from gae_broker.errors import Error
from gae_broker.ports import Check, CheckStatus
from gae_broker_adapters.brokers.embedded.connections import Connections

_LITTLE_ROOM = 256 * 1024 * 1024
_MIB = 1024 * 1024


def check(connections: Connections) -> list[Check]:
    """Try a write transaction, and look at the file's size and its disk's room."""
    checks = [_writable(connections)]
    if connections.path is not None:
        checks.append(_room(connections.path))
    return checks


def _writable(connections: Connections) -> Check:
    try:
        with connections.writing(wait_s=2.0) as connection:
            connection.execute("UPDATE broker_meta SET value = value WHERE key = 'version'")
    except Error as exc:
        return Check("broker", CheckStatus.FAILED, str(exc))
    return Check("broker", CheckStatus.OK, f"{connections.where} can be read and written")


def _room(path: Path) -> Check:
    try:
        files = [file for file in (path, path.with_name(path.name + "-wal")) if file.exists()]
        used = sum(file.stat().st_size for file in files)
        free = shutil.disk_usage(path.parent).free
    except OSError as exc:
        return Check("broker disk", CheckStatus.FAILED, f"{path}: {exc.strerror}")
    text = f"{used / _MIB:.0f} MiB used by {path}, {free / _MIB:.0f} MiB free on its disk"
    return Check("broker disk", CheckStatus.OK if free > _LITTLE_ROOM else CheckStatus.WARNING, text)
