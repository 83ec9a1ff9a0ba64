"""From one dispatcher to another: SIGTERM, ``kill -9``, SIGSTOP and a black hole; limits hold over both."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import time
from collections import Counter
from itertools import pairwise

import pytest

from tests.faults import handler
from tests.faults.proxy import Proxy
from tests.faults.site import Execution, Process, Site
from tests.servers.rabbitmq import RabbitMQContainer

RATE, BUCKET, SLOTS = 40, 10, 5
LIMITED = f"  rate: {RATE}/s\n  bucket_size: {BUCKET}\n  max_concurrent_requests: {SLOTS}\n"
WORK_MS = 80
TASKS = 400
MANY = 600
GAP_S = 15.0


def most_at_once(executions: list[Execution]) -> int:
    """The largest number of executions that ran at the same time."""
    events = [(one.began_us, 1) for one in executions] + [(one.ended_us or one.began_us, -1) for one in executions]
    most = now = 0
    for _, change in sorted(events, key=lambda event: (event[0], event[1])):
        now += change
        most = max(most, now)
    return most


def most_within(executions: list[Execution], window_s: float) -> int:
    """The largest number of executions that began within a window."""
    begins = sorted(one.began_us for one in executions)
    most = first = 0
    for last, began_us in enumerate(begins):
        while began_us - begins[first] > window_s * 1e6:
            first += 1
        most = max(most, last - first + 1)
    return most


def longest_gap_s(executions: list[Execution]) -> float:
    begins = sorted(one.began_us for one in executions)
    return max(after - before for before, after in pairwise(begins)) / 1e6


def both(site: Site, proxy: Proxy, target: str) -> tuple[Process, Process]:
    """A dispatcher that serves, behind the proxy, and one that stands by."""
    first = site.dispatcher("first", target=target, url=f"amqp://127.0.0.1:{proxy.port}/")
    site.wait_for(lambda: "serving here now" in first.said, "the first dispatcher to serve")
    second = site.dispatcher("second", target=target)
    return first, second


def stop_outside_a_write(site: Site, process: Process) -> None:
    """SIGSTOP while it is not writing to the ledger: SQLite's lock would stay with it, and hold everybody up."""
    while True:
        process.send(signal.SIGSTOP)
        try:
            with contextlib.closing(sqlite3.connect(site.folder / "ledger.db", timeout=1)) as file:
                file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            process.send(signal.SIGCONT)
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("end", ["kill", "stop", "black hole"])
def test_another_dispatcher_takes_over_within_the_limits(
    broker: RabbitMQContainer, proxy: Proxy, make_site, end: str
) -> None:
    site: Site = make_site(broker, LIMITED)
    target = site.handler()
    producer = site.producer(TASKS, work_ms=WORK_MS)
    first, second = both(site, proxy, target)
    site.await_done(60)
    since_us = handler.now_us()
    if end == "kill":
        first.kill()
    elif end == "stop":
        stop_outside_a_write(site, first)
    else:
        proxy.black_hole()
    site.wait_for(lambda: "serving here now" in second.said, "the second dispatcher to serve")
    until_us, served = handler.now_us(), len(site.done())
    site.await_done(served + 40)
    if end == "stop":
        first.send(signal.SIGCONT)
    proxy.heal()
    site.await_done(served + 120)
    assert producer.is_running or producer.wait() == 0
    executions = site.executions()
    assert most_at_once(executions) <= SLOTS
    for window_s in (0.5, 2.0, 10.0):
        assert most_within(executions, window_s) <= BUCKET + RATE * window_s + 1
    assert longest_gap_s(executions) < GAP_S
    assert not site.early()
    assert not site.again_outside((since_us, until_us))


def test_sigterm_under_load_hands_over_without_a_trace(broker: RabbitMQContainer, make_site) -> None:
    site: Site = make_site(broker)
    target = site.handler()
    producer = site.producer(MANY, work_ms=WORK_MS)
    for turn in range(3):
        dispatcher = site.dispatcher(f"turn{turn}", target=target)
        site.await_done((turn + 1) * MANY // 5)
        assert dispatcher.end() == -signal.SIGTERM
    site.dispatcher("last", target=target)
    assert producer.wait() == 0
    site.await_all_done()
    assert not site.early()
    assert not site.again()
    # The handler sees executions that failed, which it wanted; and nobody's end counts as an attempt.
    said = "".join((site.folder / f"{name}.out").read_text() for name in ("turn0", "turn1", "turn2", "last"))
    tries = Counter(re.findall(r"try (\d+): ", said))
    assert set(tries) == {"1", "2"}, tries
