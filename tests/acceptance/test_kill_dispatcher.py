"""``kill -9`` of the dispatcher at random moments, and a handler's own account of what ran."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gae_broker import taskqueue
from gae_broker.domain.task import Kind
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings
from tests.apps.counting import LOG_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
SEED = 20_261_123
TASKS = 10_000
BATCH = 100
KILLS = 4
QUEUES = ("left", "right")
QUEUE_YAML = "queue:\n" + "".join(
    f"- name: {name}\n  rate: 5000/s\n  bucket_size: 500\n  max_concurrent_requests: 40\n" for name in QUEUES
)
LINE = 6
PATIENCE_S = 60.0


class Dispatcher:
    """``gae-broker dispatch`` as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "ran.log"
        self.output = folder / "dispatch.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
            "GAE_BROKER_URL": f"embedded:///{self.folder / 'queues.db'}",
            "GAE_BROKER_QUEUE_YAML": str(self.folder / "queue.yaml"),
            "GAE_BROKER_TARGETS": "default=wsgi+tests.apps.counting:app",
            LOG_VARIABLE: str(self.log),
        }
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gae_broker", "dispatch"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def runs(self) -> int:
        """How often the handler has run so far."""
        return self.log.stat().st_size // LINE if self.log.exists() else 0

    def await_runs(self, count: int) -> None:
        """Wait until the handler has run so often."""
        self._await(lambda: self.runs() >= count, f"{count} runs")

    def await_empty(self, runtime: Runtime) -> None:
        """Wait until the queues hold nothing."""
        self._await(lambda: sum(held(runtime)) == 0, "empty queues")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the process's end; its status."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(PATIENCE_S)
        self._process = None
        return status

    def clean_up(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _await(self, condition: object, what: str) -> None:
        assert callable(condition)
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert self._process is not None
            assert self._process.poll() is None, f"the dispatcher ended by itself:\n{self.output.read_text()[-3000:]}"
            assert time.monotonic() < deadline_s, f"no {what}; the dispatcher said:\n{self.output.read_text()[-3000:]}"
            time.sleep(0.005)


def held(runtime: Runtime) -> tuple[int, int]:
    """How many tasks wait, and how many are in a dispatcher's hands."""
    depths = [runtime.broker.depth(Kind.PUSH, queue) for queue in QUEUES]
    return sum(d.ready + d.delayed for d in depths), sum(d.unacked for d in depths)


@pytest.fixture
def dispatcher(tmp_path: Path) -> Iterator[Dispatcher]:
    (tmp_path / "queue.yaml").write_text(QUEUE_YAML)
    dispatcher = Dispatcher(tmp_path)
    yield dispatcher
    dispatcher.clean_up()


@pytest.fixture
def runtime(dispatcher: Dispatcher) -> Iterator[Runtime]:
    url = f"embedded:///{dispatcher.folder / 'queues.db'}"
    with Runtime.open(Settings(url=url, queue_yaml=str(dispatcher.folder / "queue.yaml"))) as runtime, using(runtime):
        yield runtime


def add_tasks() -> set[str]:
    """Ten thousand tasks over two queues, in batches; each one's body is its number."""
    numbers = [f"{number:0{LINE - 1}}" for number in range(TASKS)]
    for start in range(0, TASKS, BATCH):
        batch = [taskqueue.Task(url="/run", payload=number) for number in numbers[start : start + BATCH]]
        taskqueue.Queue(QUEUES[start // BATCH % len(QUEUES)]).add(batch)
    return set(numbers)


def test_every_task_runs_at_least_once_however_often_the_dispatcher_is_killed(
    dispatcher: Dispatcher,
    runtime: Runtime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chance = random.Random(SEED)
    added = add_tasks()
    in_hand = 0
    for runs in sorted(chance.sample(range(TASKS // 10, TASKS * 9 // 10), KILLS)):
        dispatcher.start()
        dispatcher.await_runs(runs)
        assert dispatcher.end(signal.SIGKILL) == -signal.SIGKILL
        in_hand += held(runtime)[1]
    dispatcher.start()
    dispatcher.await_empty(runtime)
    dispatcher.end(signal.SIGTERM)

    ran = Counter(dispatcher.log.read_text().split())
    again = sum(ran.values()) - len(ran)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{KILLS} kills: {len(ran)} of {TASKS} tasks ran, {again} again, {in_hand} were in hand when killed\n",
        )
    assert set(ran) == added
    assert again <= in_hand
