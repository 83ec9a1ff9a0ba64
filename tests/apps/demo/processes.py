"""The demo's processes: the shop under ``gae-broker dev``, and the label printer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

APPS = Path(__file__).resolve().parent.parent
ROOT = APPS.parent.parent
_STOP_S = 10.0


class Processes:
    """Child processes of one demo, stopped together, each by its own pid.

    Args:
        folder: where the queues, the journal and each process's output go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.jsonl"
        self.port = _free_port()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._outputs = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._outputs.close()

    def start_shop(self) -> None:
        """The shop and its dispatcher, as a developer starts them."""
        queues = APPS / "shop" / "queue.yaml"
        options = ["--app", "shop.main:app", "--port", str(self.port), "--queue-yaml", str(queues)]
        self._start("dev", ["-m", "gae_broker", "dev", *options])

    def start_printer(self) -> None:
        """The worker that leases labels."""
        self._start("printer", ["-m", "shop.printer"])

    def ended(self) -> str:
        """The name of a process that ended by itself, with its status; empty while all run."""
        for name, process in self._running.items():
            if process.poll() is not None:
                return f"{name} ended with status {process.returncode}"
        return ""

    def output(self, name: str) -> str:
        """What a process has printed, or the last of it."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def stop(self) -> dict[str, int]:
        """End all processes, with SIGKILL where SIGTERM does not do; their exit statuses by name."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        statuses = {}
        for name, process in self._running.items():
            try:
                statuses[name] = process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                statuses[name] = process.wait()
        self._running.clear()
        return statuses

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        output = self._outputs.enter_context((self.folder / f"{name}.log").open("wb"))
        self._running[name] = subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def _environment(self) -> dict[str, str]:
        paths = [str(APPS), str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "GAE_BROKER_URL": f"embedded:///{self.folder / 'queues.db'}",
            "GAE_BROKER_QUEUE_YAML": str(APPS / "shop" / "queue.yaml"),
            "SHOP_JOURNAL": str(self.journal),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
