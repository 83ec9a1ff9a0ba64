"""What a test session starts ends with it, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import session as sessions

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
SCRIPT = """
import sys
from pathlib import Path
from tests.servers.session import begun

data, trace = Path(sys.argv[1]), sys.argv[2]
with begun() as session:
    data.mkdir()
    session.note("server", stop=["touch", trace], user=None, folder=data)
    print(session.folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_a_noted_server_is_stopped_and_its_folder_removed(tmp_path, killed):
    data, trace = tmp_path / "data", tmp_path / "stopped"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, data, trace], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        folder = Path(process.stdout.readline().strip())
        assert folder.is_dir()
        if killed:
            os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert trace.exists()
    assert not data.exists()


def test_a_server_is_started_once_for_all_processes(tmp_path):
    first, second = sessions.Session(tmp_path), sessions.Session(tmp_path)
    assert first.once("server", lambda: {"url": "amqp://one"}) == {"url": "amqp://one"}
    assert second.once("server", pytest.fail) == {"url": "amqp://one"}


def test_what_cannot_be_started_is_not_tried_again(tmp_path):
    def refuse() -> sessions.State:
        raise sessions.ServerUnavailableError("no such server; install it")

    session = sessions.Session(tmp_path)
    for start in (refuse, pytest.fail):
        with pytest.raises(sessions.ServerUnavailableError, match="install it"):
            session.once("server", start)
