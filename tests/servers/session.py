"""What one test session has started, shared by its worker processes and ended with it.

The process that the user started (pytest-xdist's controller) makes a folder, and a keeper process that waits for the
end of its standard input: it comes when the session ends, and also when the session is killed. Then the keeper removes
what carries the session's label or is noted in the folder. Nothing is removed by a name that others could have used.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import keeper

VARIABLE = "GAE_BROKER_TEST_SESSION"
LABEL = keeper.LABEL
_END_S = 60.0

State = Mapping[str, str]


class ServerUnavailableError(Exception):
    """A server that a test asks for cannot be had here; the text says how to have it."""


@dataclass(frozen=True, slots=True)
class Session:
    """A test session, as its processes see it.

    Attributes:
        folder: states, locks and notes, for the session's processes only.
    """

    folder: Path

    @property
    def labels(self) -> dict[str, str]:
        """What containers and networks carry that are to end with the session."""
        return {LABEL: self.folder.name}

    def once(self, name: str, start: Callable[[], State]) -> State:
        """The state that ``start`` answers, in whichever of the session's processes comes first.

        Raises:
            ServerUnavailableError: ``start`` raised it, in this process or before in another.
        """
        file = self.folder / f"{name}.json"
        with self._locked(name):
            if not file.exists():
                try:
                    state: State = start()
                except ServerUnavailableError as exc:
                    state = {"unavailable": str(exc)}
                file.write_text(json.dumps(state), encoding="utf-8")
        state = json.loads(file.read_text(encoding="utf-8"))
        if "unavailable" in state:
            raise ServerUnavailableError(state["unavailable"])
        return state

    def uses_docker(self) -> None:
        """Have what carries the session's label removed at its end."""
        (self.folder / keeper.DOCKER).touch()

    def ends_label(self, label: str) -> None:
        """Have what carries another label (``key=value``) in Docker removed with the session too."""
        self.uses_docker()
        with self._locked(keeper.OTHERS), (self.folder / keeper.OTHERS).open("a", encoding="utf-8") as file:
            file.write(f"{label}\n")

    def note(self, name: str, *, stop: Sequence[str], user: str | None, folder: Path) -> None:
        """Have a local server ended with the session.

        Args:
            name: a word for it.
            stop: the command that ends it, and may fail where it has ended.
            user: who runs the command; ``None`` is the session's own user.
            folder: removed afterwards.
        """
        note = {"stop": list(stop), "user": user, "folder": str(folder)}
        file = self.folder / f"{name}-{secrets.token_hex(4)}{keeper.NOTE}"
        file.write_text(json.dumps(note), encoding="utf-8")

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def current() -> Session:
    """The session that this process belongs to."""
    return Session(Path(os.environ[VARIABLE]))


@contextmanager
def begun() -> Iterator[Session]:
    """A session of this process and its children; at the end everything that it started is ended."""
    folder = Path(tempfile.mkdtemp(prefix="gae-broker-tests-"))
    os.environ[VARIABLE] = str(folder)
    # A session of its own: the terminal's Ctrl+C ends the tests, and must not end what cleans up after them.
    process = subprocess.Popen(
        [sys.executable, keeper.__file__, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Session(folder)
    finally:
        del os.environ[VARIABLE]
        (folder / keeper.ENDED).touch()
        process.communicate(timeout=_END_S)
