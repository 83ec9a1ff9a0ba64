"""What a dispatcher calls itself in the ledger, and whether the one of that name has certainly ended.

``host:pid`` is for people. Behind it stand, on Linux, the boot and the PID namespace in which the number means
something: whoever shares them can ask the kernel.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def own_name() -> str:
    """This process's."""
    return f"{socket.gethostname()}:{os.getpid()}{_place()}"


def has_ended(name: str) -> bool:
    """Whether that process certainly runs no more; of another host or container nobody knows."""
    who, mark, place = name.rpartition("@")
    if not mark or f"@{place}" != _place():
        return False
    pid = int(who.rpartition(":")[2])
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (ProcessLookupError, FileNotFoundError):
        return True
    except OSError:
        return False  # somebody else's, so it is there
    return status.rpartition(")")[2].split()[0] in {"Z", "X"}  # its parent has not asked for its exit status yet


def _place() -> str:
    try:
        return f"@{_BOOT.read_text('utf-8').strip()}/{_NAMESPACE.stat().st_ino}"
    except OSError:
        return ""
