"""Run the demo: ``python -m tests.apps.demo``.

Exit status 0 only if every task ended as it should, by the account of the handlers themselves.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.apps.demo import plan
from tests.apps.demo.processes import Processes
from tests.apps.demo.screen import Screen
from tests.apps.demo.tally import Tally
from tests.apps.shop import journal

TICK_S = 0.1
REQUESTS_PER_TICK = 3
START_S = 30.0
FINISH_S = 90.0


class DemoError(Exception):
    """The demo cannot go on."""


class Customers:
    """Sends the plan's requests over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._left: Iterator[plan.Request] = plan.requests()
        self.sent = 0

    def send(self, count: int) -> bool:
        """Send up to ``count`` requests; whether there were any left."""
        batch = list(islice(self._left, count))
        for request in batch:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            self._connection.request("POST", request.path, request.body, headers)
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status != request.status:
                raise DemoError(f"POST {request.path} answered {answer.status}, not {request.status}: {text[:300]!r}")
            self.sent += 1
        return bool(batch)


def main() -> int:
    """Run it all; the exit status."""
    screen = Screen(sys.stdout, os.environ)
    tally = Tally(plan.expectations())
    with tempfile.TemporaryDirectory(prefix="gae-broker-demo-") as folder, Processes(Path(folder)) as processes:
        try:
            run(processes, tally, screen)
            trouble = ""
        except (DemoError, OSError, http.client.HTTPException) as exc:
            trouble = str(exc) or repr(exc)
        statuses = processes.stop()
        screen.summary([tally.row(kind) for kind in plan.KINDS])
        faults = ([trouble] if trouble else []) + tally.faults()
        faults += [f"{name} left with status {status}" for name, status in statuses.items() if status not in (0, -15)]
        for fault in faults[:20]:
            screen.say(f"  {fault}")
        if faults:
            screen.say(f"\nThe end of the server's log:\n{processes.output('dev')}")
    screen.verdict(not faults, _verdict(len(faults)))
    return 1 if faults else 0


def run(processes: Processes, tally: Tally, screen: Screen) -> None:
    """Start the processes, play the customers, and watch the journal until all is done or time is up.

    Raises:
        DemoError: a process ended, or an answer was wrong.
    """
    processes.start_shop()
    _await_port(processes)
    processes.start_printer()
    screen.say(f"The shop: http://127.0.0.1:{processes.port} under gae-broker dev, queues in {processes.folder}.")
    customers = Customers(processes.port)
    started_s, offset = time.monotonic(), 0
    while (elapsed_s := time.monotonic() - started_s) < FINISH_S:
        busy = customers.send(REQUESTS_PER_TICK)
        for entry, after in journal.read(processes.journal, offset):
            tally.count(entry)
            offset = after
        screen.progress([tally.row(kind) for kind in plan.KINDS], elapsed_s)
        if not busy and tally.complete() and _queues_empty(processes.port):
            screen.say(f"{customers.sent} requests, {len(plan.expectations())} tasks in {elapsed_s:.1f} s.")
            return
        if ended := processes.ended():
            raise DemoError(ended)
        time.sleep(TICK_S)
    raise DemoError(f"not all tasks have ended after {FINISH_S:.0f} s")


def _await_port(processes: Processes) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        if ended := processes.ended():
            raise DemoError(f"{ended} before it served")
        try:
            _get(processes.port, "/admin/queues")
        except OSError:
            time.sleep(TICK_S)
        else:
            return
    raise DemoError(f"no server answered on port {processes.port} within {START_S:.0f} s")


def _queues_empty(port: int) -> bool:
    tasks: dict[str, int] = json.loads(_get(port, "/admin/queues"))
    return not any(tasks.values())


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _verdict(faults: int) -> str:
    return f"{faults} things are not as they should be." if faults else "Every task ended as it should."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
