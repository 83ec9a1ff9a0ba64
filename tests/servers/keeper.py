"""Ends what a test session started, when its standard input ends; a script that needs nothing of the project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LABEL = "gae-broker.tests"
NOTE = ".note"
OTHERS = "labels"
"""This file names further labels, one a line (``key=value``), of what to remove in Docker."""
DOCKER = "docker"
"""This file in the session's folder says that the session has used Docker."""
ENDED = "ended"
"""This file says that the session ended by itself; without it its workers may live a moment longer."""
_STOP_S = 30.0
_LAST_BREATH_S = 3.0


def end(folder: Path) -> None:
    """Remove the session's containers, networks, local servers and folder."""
    if (folder / DOCKER).exists():
        _end_containers(folder)
    for file in folder.glob(f"*{NOTE}"):
        _end_local(json.loads(file.read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)


def _end_containers(folder: Path) -> None:
    import docker  # noqa: PLC0415 - only where it was used

    labels = [f"{LABEL}={folder.name}"]
    if (folder / OTHERS).exists():
        labels += (folder / OTHERS).read_text(encoding="utf-8").split()
    client = docker.from_env()
    try:
        for label in labels:
            labelled = {"label": label}
            for container in client.containers.list(all=True, filters=labelled, ignore_removed=True):
                _attempt(container.remove, force=True, v=True)
            for network in client.networks.list(filters=labelled):
                _attempt(network.remove)
            for volume in client.volumes.list(filters=labelled):
                _attempt(volume.remove)
            for image in client.images.list(filters=labelled):
                _attempt(image.remove, force=True)
    finally:
        client.close()


def _attempt(remove: Callable[..., object], **options: bool) -> None:
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    try:
        remove(**options)
    except NotFound:
        pass  # its test has removed it
    except APIError as exc:
        print(f"left behind: {exc}", file=sys.stderr)  # noqa: T201 - the terminal is all there is to tell


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
    session = Path(sys.argv[1])
    sys.stdin.buffer.read()
    if not (session / ENDED).exists():
        time.sleep(_LAST_BREATH_S)
    end(session)
