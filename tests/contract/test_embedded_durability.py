"""A publish waits for the disk, and nothing else does."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.embedded import log, open_broker


@pytest.fixture
def broker(tmp_path):
    broker = open_broker(f"embedded:///{tmp_path}/tasks.db", clock=RealClock())
    broker.declare([Queue("q", mode=Mode.PULL)])
    yield broker
    broker.close()


class Disk:
    """Stands for the system call that waits for the disk: notes which file, and can fail."""

    def __init__(self) -> None:
        self.flushed: list[str] = []
        self.fails = False
        self.first = lambda: None

    def flush(self, handle: int) -> None:
        first, self.first = self.first, lambda: None
        first()
        if self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))


@pytest.fixture
def disk(monkeypatch) -> Disk:
    if not Path("/proc/self/fd").exists():
        pytest.skip("names of open files are read from /proc")
    disk = Disk()
    monkeypatch.setattr(log, "_flush_file", disk.flush)
    return disk


def message(number: int) -> Message:
    return Message(f"copy-{number}", Kind.PULL, "q", f"task-{number}", 0, "{}", b"")


def test_a_batch_is_confirmed_when_its_log_is_on_the_disk(broker, disk, tmp_path) -> None:
    assert broker.publish([message(number) for number in range(50)], 5.0) == [None] * 50
    assert disk.flushed == [f"{tmp_path}/tasks.db-wal"]


def test_taking_acking_and_looking_do_not_wait_for_the_disk(broker, disk) -> None:
    broker.publish([message(number) for number in range(4)], 5.0)
    del disk.flushed[:]
    taken = broker.get(Kind.PULL, "q", 3)
    broker.ack(taken[:1])
    broker.restore(taken[1:])
    broker.discard(Kind.PULL, "q", ["copy-3"])
    broker.depth(Kind.PULL, "q")
    assert disk.flushed == []


def test_messages_that_threads_publish_at_once_share_a_wait(broker, disk) -> None:
    def until_the_others_wait() -> None:
        eventually(lambda: len(broker._assembled.publishing._waiting) == 7, "seven more to publish")

    disk.first = until_the_others_wait
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda number: broker.publish([message(number)], 20.0), range(8)))
    assert outcomes == [[None]] * 8
    assert len(disk.flushed) == 2
    assert broker.depth(Kind.PULL, "q").ready == 8


def test_a_disk_that_fails_confirms_nothing(broker, disk) -> None:
    disk.fails = True
    outcomes = broker.publish([message(1), message(2)], 5.0)
    assert [type(outcome) for outcome in outcomes] == [BrokerUnavailableError] * 2
    assert "Input/output error" in str(outcomes[0])
    disk.fails = False
    assert broker.publish([message(1)], 5.0) == [None]


def test_a_process_without_a_file_handle_left_confirms_nothing(broker, monkeypatch) -> None:
    def no_handle(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", no_handle)
    (outcome,) = broker.publish([message(1)], 5.0)
    assert isinstance(outcome, BrokerUnavailableError)
    monkeypatch.undo()
    assert broker.publish([message(2)], 5.0) == [None]
