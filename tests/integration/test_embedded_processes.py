"""The embedded broker between real processes that are killed, forked and started all at once."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.embedded import open_broker

WORKER = Path(__file__).parent / "embedded_worker.py"


class Process:
    """A worker process, and the lines that it said."""

    def __init__(self, role: str, path: Path | str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(WORKER), role, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        # A line cut off by a kill is no statement.
        self.lines.extend(line.rstrip("\n") for line in self.process.stdout if line.endswith("\n"))

    @property
    def words(self) -> list[str]:
        return [word for line in list(self.lines) for word in line.split()]

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its forked children too
        self.wait()

    def wait(self) -> int:
        status = self.process.wait(60)
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()
        return status


@pytest.fixture
def start(tmp_path):
    processes: list[Process] = []

    def start_one(role: str) -> Process:
        processes.append(process := Process(role, tmp_path / "tasks.db"))
        return process

    yield start_one
    for process in processes:
        process.kill()


@pytest.fixture
def broker(tmp_path):
    broker = open_broker(f"embedded:///{tmp_path}/tasks.db", clock=RealClock())
    broker.declare([Queue("pull", mode=Mode.PULL), Queue("push")])
    yield broker
    broker.close()


def store(broker, kind: Kind, count: int) -> set[str]:
    messages = [Message(f"{kind}-{n:05}", kind, kind.value, f"t{n:05}", 0, "{}", b"x" * 100) for n in range(count)]
    assert broker.publish(messages, 20.0) == [None] * count
    return {message.copy_id for message in messages}


def stored(broker, kind: Kind) -> set[str]:
    return {message.copy_id for message in broker.browse(kind, kind.value, 10**6, None)}


def assert_sound(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    counted = connection.execute(
        "SELECT ready + delayed, unacked, (SELECT count(*) FROM broker_messages WHERE queue_id = id AND claim < 0),"
        " (SELECT count(*) FROM broker_messages WHERE queue_id = id AND claim > 0) FROM broker_queues"
    ).fetchall()
    connection.close()
    assert [row[:2] for row in counted] == [row[2:] for row in counted]


def test_whatever_a_killed_publisher_had_confirmed_is_stored(broker, start, tmp_path) -> None:
    publishers = [start("publisher") for _ in range(3)]
    chance = random.Random(7)
    for publisher in publishers:
        enough = chance.randint(20, 200)
        eventually(lambda publisher=publisher, enough=enough: len(publisher.lines) >= enough, "confirmed batches")
        publisher.kill()
    confirmed = {word for publisher in publishers for word in publisher.words}
    assert len(confirmed) > 100
    assert confirmed <= stored(broker, Kind.PULL)
    assert_sound(tmp_path / "tasks.db")


def test_every_task_is_processed_however_often_pullers_are_killed(broker, start, tmp_path) -> None:
    tasks = store(broker, Kind.PULL, 1500)
    chance = random.Random(11)
    everyone = [start("puller") for _ in range(3)]
    for _ in range(4):
        victim = next(puller for puller in everyone if puller.process.returncode is None)
        enough = chance.randint(5, 60)
        eventually(lambda victim=victim, enough=enough: len(victim.lines) >= enough, "some work")
        victim.kill()
        everyone.append(start("puller"))
    assert stored(broker, Kind.PULL), "the kills must come while there is work"
    eventually(lambda: not stored(broker, Kind.PULL), "all tasks to be done")
    for puller in everyone:
        puller.kill()
    said = [word for puller in everyone for word in puller.words]
    assert set(said) == tasks
    assert len(said) - len(tasks) <= 4 * 7, "more repeated than the killed processes can have held"
    assert_sound(tmp_path / "tasks.db")


def test_every_task_is_processed_while_active_consumers_are_killed(broker, start, tmp_path) -> None:
    tasks = store(broker, Kind.PUSH, 3000)
    consumers = [start("consumer") for _ in range(3)]
    for _ in range(2):
        active = eventually(lambda: _owner(consumers), "an owner")
        eventually(lambda active=active: len(active.lines) > 30, "some work")
        active.kill()
    eventually(lambda: not stored(broker, Kind.PUSH), "all tasks to be done")
    for consumer in consumers:
        consumer.kill()
    said = [word for consumer in consumers for word in consumer.words if word not in {"owned", "True"}]
    assert set(said) == tasks
    assert sum(line == "owned True" for consumer in consumers for line in consumer.lines) == 3
    assert_sound(tmp_path / "tasks.db")


def test_forked_children_use_the_file_while_their_parent_works(broker, start, tmp_path) -> None:
    forker = start("forker")
    assert forker.wait() == 0
    children = [line for line in forker.lines if not line.startswith("status")]
    assert forker.lines.count("status 0") == 20
    assert len(children) == 20
    kept = stored(broker, Kind.PUSH)
    assert set(children) <= kept
    assert_sound(tmp_path / "tasks.db")


def test_a_broker_in_memory_is_not_the_childs(start) -> None:
    forker = start("memory_forker")
    assert forker.wait() == 0
    child, parent = forker.lines
    assert child.startswith("BrokerUnavailableError True")
    assert "use a file" in child
    assert parent == "parent 1"


def test_many_processes_may_create_the_file_at_once(start, tmp_path) -> None:
    openers = [start("opener") for _ in range(6)]
    for opener in openers:
        opener.process.stdin.write("\n")
        opener.process.stdin.flush()
    assert [opener.wait() for opener in openers] == [0] * 6
    broker = open_broker(f"embedded:///{tmp_path}/tasks.db", clock=RealClock())
    assert stored(broker, Kind.PULL) == {word for opener in openers for word in opener.words}
    broker.close()


def _owner(consumers: list[Process]) -> Process | None:
    alive = [consumer for consumer in consumers if consumer.process.returncode is None]
    return next((consumer for consumer in alive if "owned True" in consumer.lines), None)


def test_nobody_is_thought_dead_whom_a_locked_file_kept_from_saying_otherwise(broker, start, tmp_path) -> None:
    tasks = store(broker, Kind.PULL, 14)
    holder = start("holder")
    eventually(lambda: len(holder.words) == 7, "another process to hold half of them")
    held_here = broker.get(Kind.PULL, "pull", 7)
    locker = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    time.sleep(6.5)  # longer than a heartbeat may stop
    locker.execute("COMMIT")
    locker.close()
    beats_s = time.monotonic() + 2.5
    while time.monotonic() < beats_s:
        assert broker.get(Kind.PULL, "pull", 14) == []
        time.sleep(0.05)
    assert {*holder.words, *(delivery.message.copy_id for delivery in held_here)} == tasks
    holder.kill()
    eventually(lambda: broker.get(Kind.PULL, "pull", 14), "what the killed process held")
