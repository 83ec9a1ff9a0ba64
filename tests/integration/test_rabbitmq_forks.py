"""Forks beside open connections: the children make their own, and the parent's go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gae_broker.domain.task import Kind
from tests.integration.rabbitmq_publisher import DEADLINE_S, opened, stored
from tests.servers.ports import free_port

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
_ROOT = Path(__file__).parents[2]
_PULL = "queue:\n- name: pull\n  mode: pull\n"


class _Gunicorn:
    """A server with `preloaded_app`."""

    def __init__(self, url: str, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "log"
        (folder / "queue.yaml").write_text(_PULL)
        (folder / "url").write_text(f"{url}\n")
        (folder / "ledger").write_text(f"sqlite:///{folder}/ledger.db\n")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GAE_BROKER_")},
            # As secrets come, in files.
            "GAE_BROKER_URL_FILE": str(folder / "url"),
            "GAE_BROKER_LEDGER_FILE": str(folder / "ledger"),
            "GAE_BROKER_QUEUE_YAML": str(folder / "queue.yaml"),
            "PRELOADED_LOG": str(self.log),
            "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "adapters")]),
        }
        options = ["--preload", "--workers=3", "--threads=4", "--max-requests=15", "--max-requests-jitter=10"]
        command = [sys.executable, "-m", "gunicorn", *options, f"--bind=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [*command, "tests.integration.preloaded_app:app"],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path: str) -> str:
        """Its answer; asked again while no worker listens."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE_S) as answer:
                    return answer.read().decode()
            except urllib.error.URLError as exc:
                if isinstance(exc, urllib.error.HTTPError) or time.monotonic() > deadline:
                    raise
                assert self.process.poll() is None
                time.sleep(0.05)

    def stop(self) -> str:
        """Its output."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=DEADLINE_S)[0]


@pytest.fixture
def gunicorn(rabbitmq_url, tmp_path) -> Iterator[_Gunicorn]:
    server = _Gunicorn(rabbitmq_url, tmp_path)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            sys.stderr.write(server.stop())
        server.process.stdout.close()


def test_gunicorn_with_preload(gunicorn, rabbitmq_url):
    """The master adds at import time and ever after, its workers come and go and add over HTTP."""
    asked = [(f"/?single-{number}", 1) for number in range(120)] + [(f"/batch?batch-{n}", 100) for n in range(6)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda one: gunicorn.get(one[0]), asked))
    output = gunicorn.stop()
    masters = {answer.split()[1] for answer in answers}
    workers = {answer.split()[0] for answer in answers}
    assert len(masters) == 1
    assert not masters & workers
    assert len(workers) > 3, output  # some were replaced
    log = gunicorn.log.read_text().splitlines()
    assert not [line for line in log if line.startswith("error")]
    expected = Counter({path.partition("?")[2]: count for path, count in asked})
    expected += Counter({f"import-{masters.pop()}": 3})
    expected += Counter(log)
    found: Counter[str] = Counter()
    with opened(rabbitmq_url, declare=False) as broker:
        deadline = time.monotonic() + DEADLINE_S
        while found.total() < expected.total() and time.monotonic() < deadline:
            deliveries = broker.get(Kind.PULL, "pull", 1000)
            found += Counter(delivery.message.body.decode() for delivery in deliveries)
            broker.ack(deliveries)
    # What the master added last may have been confirmed after its log was closed.
    assert expected - found == Counter()
    assert (found - expected).total() <= 4


def test_a_fork_beside_eight_publishing_threads(rabbitmq_url):
    with opened(rabbitmq_url):
        pass
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.integration.forking_parent", rabbitmq_url],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * DEADLINE_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "adapters")])},
    )
    assert "error" not in done.stdout, done.stdout
    assert done.returncode == 0, done.stderr
    figures = dict(line.split() for line in done.stdout.splitlines())
    assert figures["connections"] == "0", done.stderr
    with opened(rabbitmq_url, declare=False) as broker:
        assert len(stored(broker, int(figures["confirmed"]))) >= int(figures["confirmed"])
