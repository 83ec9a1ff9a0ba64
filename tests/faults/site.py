"""An application with its queues, as processes: producers, dispatchers, workers and what they all wrote down."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings
from tests.faults import brokers, handler
from tests.servers.ports import free_port
from tests.servers.rabbitmq import RabbitMQContainer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0
SECOND_US = 1_000_000
MANY = 10_000
"""More than any test adds."""
PACE_S = 0.03
IN_PROCESS = "wsgi+tests.faults.handler:app"


@dataclass(frozen=True)
class Execution:
    """One run of a handler, as its log has it; ``ended_us`` is ``None`` where it was cut short."""

    identity: str
    pid: int
    due_us: int
    began_us: int
    ended_us: int | None
    status: int | None


class Process:
    """A process of the site; what it prints goes to a file."""

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
        self.output = output
        with output.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """``kill -9``."""
        if self.is_running:
            self._process.kill()
        self._process.wait()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the status."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)

    def wait(self) -> int:
        return self._process.wait(PATIENCE_S)


class Site:
    """One queue, its processes and logs, in a folder.

    Args:
        folder: an empty one.
        server: the broker, to be asked what it holds when a test fails.
        url: the broker's; each process may be given another, a proxy's for instance.
        queue: the queue's name.
        queue_yaml: its other lines there.
        ledger: its URL; by default an SQLite file.
    """

    def __init__(
        self,
        folder: Path,
        server: RabbitMQContainer,
        queue: str,
        queue_yaml: str = "",
        *,
        ledger: str = "",
        url: str = "",
    ) -> None:
        self.folder = folder
        self.server = server
        self.queue = queue
        self.log = folder / "handler.log"
        self.added = folder / "added.log"
        lines = queue_yaml or "  rate: 500/s\n  bucket_size: 100\n  max_concurrent_requests: 20\n"
        retry = "" if "mode: pull" in lines else "  retry_parameters:\n    min_backoff_seconds: 0.3\n"
        (folder / "queue.yaml").write_text(f"queue:\n- name: {queue}\n{lines}{retry}")
        self._settings = {
            "GAE_BROKER_URL": url or server.url,
            "GAE_BROKER_LEDGER": ledger or f"sqlite:///{folder / 'ledger.db'}",
            "GAE_BROKER_QUEUE_YAML": str(folder / "queue.yaml"),
            # Shorter than usual, as is the time that a test has.
            "GAE_BROKER_PUBLISH_DEADLINE": "4s",
            "GAE_BROKER_CLAIM_TAKEOVER": "6s",
        }
        self._processes: list[Process] = []
        self._producers = 0
        with self.runtime():
            pass  # declares the queues, and makes the ledger, before a test begins to break things

    # ---------------------------------------------------------------------------------------- processes

    def runtime(self, url: str = "", **settings: str) -> Runtime:
        """The site's runtime, in this process."""
        found = self._settings | ({"GAE_BROKER_URL": url} if url else {})
        return Runtime.open(Settings.load(environ=found | settings))

    def producer(
        self, count: int = MANY, *, method: str = "POST", every_s: float = PACE_S, work_ms: int = 2, url: str = ""
    ) -> Process:
        """Start adding tasks, some 140 a second at the default pace until `Process.end`."""
        self._producers += 1
        words = ["-m", "tests.faults.producer", self.queue, method, f"p{self._producers}", str(count), str(every_s)]
        return self._start([*words, str(work_ms)], f"producer{self._producers}", url, log=self.added)

    def dispatcher(
        self, name: str = "dispatcher", *, target: str = IN_PROCESS, url: str = "", **settings: str
    ) -> Process:
        """Start ``gae-broker dispatch``."""
        return self._start(
            ["-m", "gae_broker", "dispatch"], name, url, GAE_BROKER_TARGETS=f"default={target}", **settings
        )

    def worker(self, name: str = "worker", *, lease_s: float = 5.0, url: str = "") -> Process:
        """Start leasing and deleting."""
        return self._start(["-m", "tests.faults.worker", self.queue, str(lease_s)], name, url)

    def command(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run ``gae-broker`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "gae_broker", *words],
            cwd=self.folder,
            env=self._environment(settings, ""),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def handler(self) -> str:
        """Start the handler as an HTTP server; its URL."""
        port = free_port()
        self._start(["-m", "tests.faults.handler", str(port)], "handler", "")
        self.wait_for(lambda: _listens(port), "the handler to listen")
        return f"http://127.0.0.1:{port}"

    def _start(self, words: list[str], name: str, url: str, log: Path | None = None, **settings: str) -> Process:
        environment = self._environment(settings, url) | {handler.LOG_VARIABLE: str(log or self.log)}
        made = Process(words, self.folder, environment, self.folder / f"{name}.out")
        self._processes.append(made)
        return made

    def _environment(self, settings: dict[str, str], url: str) -> dict[str, str]:
        found = {key: value for key, value in os.environ.items() if not key.startswith("GAE_BROKER_")}
        found |= self._settings | settings | ({"GAE_BROKER_URL": url} if url else {})
        return found | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()

    # ---------------------------------------------------------------------------------------- what was written

    def words(self, log: Path) -> list[list[str]]:
        """The lines of a log so far, in words."""
        if not log.exists():
            return []
        return [line.split() for line in log.read_text().split("\n")[:-1]]

    def confirmed(self) -> set[str]:
        """The tasks that an `add` confirmed."""
        return {words[1] for words in self.words(self.added) if words[0] == "ok"}

    def unsure(self) -> set[str]:
        """The unnamed tasks that were added again after an error that does not tell whether they were stored."""
        return {words[1] for words in self.words(self.added) if words[0] == "unsure"}

    def executions(self) -> list[Execution]:
        """What the handler ran, in the order of their begins."""
        found: list[Execution] = []
        ends: dict[tuple[str, str], list[list[str]]] = {}
        lines = self.words(self.log)
        for words in lines:
            if words[0] == "end":
                ends.setdefault((words[2], words[3]), []).append(words)
        for words in lines:
            if words[0] == "begin":
                those = ends.get((words[2], words[3]), [])
                end = those.pop(0) if those else None
                found.append(
                    Execution(
                        words[3],
                        int(words[2]),
                        int(words[4]),
                        int(words[1]),
                        int(end[1]) if end else None,
                        int(end[4]) if end else None,
                    )
                )
        return found

    def done(self) -> Counter[str]:
        """How often each task ended well."""
        return Counter(words[3] for words in self.words(self.log) if words[0] == "end" and words[4] == "200")

    # ---------------------------------------------------------------------------------------- waiting

    def wait_for(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until something holds, as long as a broken run needs to show itself."""
        deadline_s = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline_s, f"no end of waiting for {what}\n{self.story()}"
            time.sleep(0.02)

    def await_done(self, count: int) -> None:
        """Wait until so many tasks ended well."""
        self.wait_for(lambda: len(self.done()) >= count, f"{count} tasks done")

    def await_all_done(self) -> None:
        """Wait until each task that was confirmed has ended well; nothing is lost."""
        self.wait_for(lambda: not self.missing(), "every confirmed task to be done")

    def missing(self) -> set[str]:
        """Tasks that were confirmed and have not ended well."""
        return self.confirmed() - self.done().keys()

    def again(self) -> set[str]:
        """Tasks that ended well more than once."""
        return {identity for identity, count in self.done().items() if count > 1}

    def again_outside(self, *windows: tuple[int, int]) -> set[str]:
        """Of those, the ones whose first good end was not within, or a second around, any of these windows."""
        first: dict[str, int] = {}
        for words in self.words(self.log):
            if words[0] == "end" and words[4] == "200":
                first.setdefault(words[3], int(words[1]))
        return {
            identity
            for identity in self.again()
            if not any(since - SECOND_US < first[identity] < until + SECOND_US for since, until in windows)
        }

    def early(self) -> list[Execution]:
        """Executions that began before their task was due."""
        return [execution for execution in self.executions() if execution.began_us < execution.due_us]

    def story(self) -> str:
        """What the processes said, for a failure's message."""
        missing = sorted(self.missing())
        parts = [f"confirmed {len(self.confirmed())}, done {len(self.done())}, missing {len(missing)}: {missing[:5]}"]
        parts.append(f"-- queues that hold something:\n{brokers.held(self.server)}")
        parts += [f"-- {process.output.name}:\n{process.said[-2500:]}" for process in self._processes]
        return "\n".join(parts)


def _listens(port: int) -> bool:
    with socket.socket() as made:
        return made.connect_ex(("127.0.0.1", port)) == 0
