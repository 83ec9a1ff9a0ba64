"""A PostgreSQL server for a test session: in a container, or from local binaries."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.servers.ports import free_port
from tests.servers.session import ServerUnavailableError, Session

HOW = "install its server (Debian: apt-get install postgresql), or name a database in GAE_BROKER_TEST_POSTGRESQL"
_BINARIES = "/usr/lib/postgresql"
_BOOT_S = 60


def start(session: Session) -> Mapping[str, str]:
    """Start a server that ends with the session.

    It is as durable as PostgreSQL is when nobody asks for less, and listens on 127.0.0.1 only.

    Returns:
        Its ``url``, of the database ``postgres``.

    Raises:
        ServerUnavailableError: there is none on this machine.
    """
    binaries = find_binaries()
    user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="gae-broker-postgresql-"))
    data, password_file, port = folder / "data", folder / "password", free_port()
    password = secrets.token_urlsafe(16)
    password_file.write_text(password, encoding="utf-8")
    if user is not None:
        for path in (folder, password_file):
            shutil.chown(path, user)
    _run(
        user,
        f"{binaries}/initdb",
        f"--pgdata={data}",
        "--username=postgres",
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",  # of the empty cluster: what tests write is synced
    )
    session.note(
        "postgresql",
        stop=[f"{binaries}/pg_ctl", "stop", f"--pgdata={data}", "--mode=immediate"],
        user=user,
        folder=folder,
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
    _run(
        user,
        f"{binaries}/pg_ctl",
        "start",
        f"--pgdata={data}",
        f"--log={folder}/log",
        f"--options={options}",
        f"--timeout={_BOOT_S}",
        "--wait",
    )
    return {"url": f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"}


def find_binaries() -> Path:
    """The folder of the newest ``initdb`` and ``pg_ctl`` of this machine.

    Raises:
        ServerUnavailableError: there are none.
    """
    folders = [path.parent for path in Path(_BINARIES).glob("*/bin/pg_ctl")]
    if folders:
        return max(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))])
    on_path = shutil.which("pg_ctl")
    if on_path is None or shutil.which("initdb") is None:
        raise ServerUnavailableError(f"no PostgreSQL server here: {HOW}")
    return Path(on_path).resolve().parent


@contextmanager
def database(url: str) -> Iterator[str]:
    """A new database beside the one that ``url`` names, dropped afterwards; its SQLAlchemy URL."""
    name = f"test_{secrets.token_hex(5)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg", path=f"/{name}"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _unprivileged() -> str | None:
    """Who runs the server: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _run(user: str | None, *command: str) -> None:
    privileges: dict[str, object] = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid}
    done = subprocess.run(
        command,
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **({} if user is None else {**privileges, "extra_groups": []}),
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.decode(errors='replace')}")
