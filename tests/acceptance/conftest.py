"""``gae-broker`` as a process, in a directory of its own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from gae_broker import taskqueue
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Ran:
    """What a command that ended did."""

    code: int
    out: str
    err: str


class Running:
    """A command that serves until it is stopped; its lines are read as they come."""

    def __init__(self, words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gae_broker", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,)) for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def line(self, *parts: str) -> str:
        """The next line that contains all of these, which must come."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE_S)
            except queue.Empty:
                pytest.fail(f"no line with {parts}; there were:\n" + "".join(self.seen))
            self.seen.append(line)
            if all(part in line for part in parts):
                return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> int:
        """Send a signal, wait for the end; the status, ``-n`` after signal n."""
        if number is not None:
            self.send(number)
        status = self.process.wait(PATIENCE_S)
        self._drain()
        return status

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._drain()

    def _drain(self) -> None:
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        while not self._lines.empty():
            self.seen.append(self._lines.get())

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line)


class Commands:
    """Runs ``gae-broker`` in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Running] = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GAE_BROKER_")}
        self.environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])

    def __call__(self, *words: str, stdin: int | None = None, **variables: str) -> Ran:
        found = subprocess.run(
            [sys.executable, "-m", "gae_broker", *words],
            cwd=self.folder,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Ran(found.returncode, found.stdout, found.stderr)

    def start(self, *words: str, **variables: str) -> Running:
        found = Running(words, self.folder, self.environment | variables)
        self.running.append(found)
        return found

    def add(self, queue: str, *names: str) -> None:
        """Add tasks from this process, as a web server would."""
        with self._opened() as runtime, using(runtime):
            taskqueue.Queue(queue).add([taskqueue.Task(name=name) for name in names])

    def wait_until_held(self, queue: str) -> None:
        """Return when the dispatcher that serves a queue paused before has reported since that it holds it."""
        give_up_s = time.monotonic() + PATIENCE_S
        with self._opened() as runtime:
            since_us = runtime.clock.now_us()  # an older report may be of an earlier pause
            while (
                (report := runtime.ledger.control(queue).report) is None
                or report.reported_us < since_us
                or report.enforced_rate
            ):
                assert time.monotonic() < give_up_s, report
                time.sleep(0.05)

    def _opened(self) -> Runtime:
        settings = Settings(
            url=f"embedded:///{self.folder / 'gae-broker.db'}", queue_yaml=str(self.folder / "queue.yaml")
        )
        return Runtime.open(settings)

    def write(self, name: str, text: str) -> Path:
        """Write a file into the directory, all at once as editors do."""
        path = self.folder / name
        new = path.with_suffix(".new")
        new.write_text(text, "utf-8")
        return new.replace(path)


@pytest.fixture
def gae_broker(tmp_path: Path) -> Iterator[Commands]:
    """The command line in a directory of its own; what still runs in the end is killed."""
    commands = Commands(tmp_path)
    yield commands
    for running in commands.running:
        running.kill()
