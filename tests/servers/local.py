"""A RabbitMQ node from this machine's own ``rabbitmq-server``, where there is no Docker."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.servers.management import Management
from tests.servers.ports import free_port
from tests.servers.rabbitmq import BOOT_S, greets
from tests.servers.session import ServerUnavailableError, Session, State

HOST = "127.0.0.1"
_SCRIPTS = "/usr/lib/rabbitmq/bin"
"""Debian's own commands of the same names insist on one user and one node."""
_POLL_S = 0.1


def find(command: str) -> str | None:
    """The path of one of RabbitMQ's commands; none where it is not installed."""
    return shutil.which(command, path=f"{_SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}")


def start(session: Session) -> State:
    """Start a node that ends with the session, beside any that runs here: its name, ports and files are its own.

    Returns:
        Its ``url`` and the URL of its ``management``.

    Raises:
        ServerUnavailableError: it is not installed, or does not start.
    """
    server, control = find("rabbitmq-server"), find("rabbitmqctl")
    if server is None or control is None:
        raise ServerUnavailableError("neither Docker nor rabbitmq-server is here")
    folder = Path(tempfile.mkdtemp(prefix="gae-broker-rabbitmq-"))
    port, management_port = free_port(), free_port()
    (folder / "enabled_plugins").write_text("[rabbitmq_management].\n", encoding="utf-8")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.local = {HOST}:{port}\nmanagement.tcp.ip = {HOST}\nmanagement.tcp.port = {management_port}\n",
        encoding="utf-8",
    )
    own = {
        "HOME": folder,  # of Erlang's cookie
        "ERL_EPMD_PORT": free_port(),
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_NODENAME": f"test-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_MNESIA_BASE": folder / "data",
        "RABBITMQ_LOG_BASE": folder / "log",
        "RABBITMQ_PID_FILE": folder / "pid",
        "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "enabled_plugins",
        "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
    }
    environment = {key: str(value) for key, value in own.items()}
    assignments = shlex.join(["env", *(f"{key}={value}" for key, value in environment.items())])
    stop = f"{assignments} {shlex.quote(control)} stop; {assignments} epmd -kill"
    session.note("rabbitmq", stop=["sh", "-c", stop], user=None, folder=folder)
    with (folder / "output").open("wb") as output:
        subprocess.run(
            [server, "-detached"],
            check=True,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    management = Management(f"http://guest:guest@{HOST}:{management_port}")
    deadline = time.monotonic() + BOOT_S
    while not (greets(port) and management.is_ready()):
        if time.monotonic() > deadline:
            raise ServerUnavailableError(f"{server} did not start within {BOOT_S:.0f} s; its logs are in {folder}")
        time.sleep(_POLL_S)
    return {"url": f"amqp://guest:guest@{HOST}:{port}/", "management": management.url}
