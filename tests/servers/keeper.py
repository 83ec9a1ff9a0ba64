"""Ends what a test session started, when its standard input ends; a script that needs nothing of the project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

LABEL = "gae-broker.tests"
NOTE = ".note"
DOCKER = "docker"
"""This file in the session's folder says that the session has used Docker."""
_STOP_S = 30.0


def end(folder: Path) -> None:
    """Remove the session's containers, networks, local servers and folder."""
    if (folder / DOCKER).exists():
        _end_containers(folder.name)
    for file in folder.glob(f"*{NOTE}"):
        _end_local(json.loads(file.read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)


def _end_containers(session: str) -> None:
    import docker  # noqa: PLC0415 - only where it was used
    from docker.errors import APIError  # noqa: PLC0415

    client = docker.from_env()
    try:
        labelled = {"label": f"{LABEL}={session}"}
        for container in client.containers.list(all=True, filters=labelled, ignore_removed=True):
            try:
                container.remove(force=True, v=True)
            except APIError as exc:
                print(f"container {container.id} stays: {exc}", file=sys.stderr)  # noqa: T201
        for network in client.networks.list(filters=labelled):
            network.remove()
    finally:
        client.close()


def _end_local(note: dict[str, object]) -> None:
    command = [str(part) for part in note["stop"]]  # type: ignore[attr-defined]
    user = note["user"]
    subprocess.run(
        command,
        check=False,
        timeout=_STOP_S,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **({} if user is None else {"user": user, "extra_groups": []}),
    )
    shutil.rmtree(str(note["folder"]), ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(Path(sys.argv[1]))
