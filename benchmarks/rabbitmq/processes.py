"""``gae-broker dispatch`` in processes of its own, as an operator runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stores import QUEUES


@contextmanager
def dispatcher(
    where: Path, url: str, ledger: str, target: str, queues: str = QUEUES
) -> Iterator[subprocess.Popen[bytes]]:
    """A dispatcher that is ended with the block; its log is a file in ``where``."""
    queue_yaml = where / "queue.yaml"
    queue_yaml.write_text(queues, "utf-8")
    environment = {
        **os.environ,
        "GAE_BROKER_URL": url,
        "GAE_BROKER_LEDGER": ledger,
        "GAE_BROKER_QUEUE_YAML": str(queue_yaml),
        "GAE_BROKER_TARGETS": f"default={target}",
    }
    with (where / "dispatch.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gae_broker", "-q", "dispatch"], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def resident_mb(pid: int) -> float:
    """How much memory a process has resident, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {pid} has ended")


def settled_mb(pid: int) -> float:
    """`resident_mb` once it has been the same, within a tenth of a MB, for five seconds."""
    same_since, last = time.monotonic(), resident_mb(pid)
    while time.monotonic() - same_since < 5:
        time.sleep(0.5)
        now = resident_mb(pid)
        if abs(now - last) > 0.1:
            same_since, last = time.monotonic(), now
    return last
