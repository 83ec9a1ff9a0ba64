"""What the embedded broker does when its file cannot be used: the error that names it, and all as before afterwards."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    PublishRejectedError,
    SettingsError,
    StorageError,
    TransientError,
)
from gae_broker.ports import CheckStatus, Needs, Sink
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.embedded import open_broker

CLOCK = RealClock()
PAGE = 4096


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
def opened(path):
    broker = opened_at(path)
    yield broker
    broker.close()


def opened_at(path):
    broker = open_broker(f"embedded:///{path}", clock=CLOCK)
    broker.declare([Queue("q", mode=Mode.PULL), Queue("default")])
    return broker


def message(number: int, body: bytes = b"x" * 200) -> Message:
    return Message(f"copy-{number}", Kind.PULL, "q", f"task-{number}", 0, "{}", body)


def publish(broker, *messages: Message) -> list[Exception | None]:
    return broker.publish(messages, 2.0)


def fill(broker, count: int = 400) -> None:
    assert publish(broker, *(message(number) for number in range(count))) == [None] * count


def assert_works(broker, number: int = 10**6) -> None:
    assert publish(broker, message(number)) == [None]
    while taken := broker.get(Kind.PULL, "q", 1000):
        broker.ack(taken)
    assert broker.depth(Kind.PULL, "q").unacked == 0


@pytest.mark.parametrize(
    "url",
    ["embedded://host/tasks.db", "embedded:///tasks.db?mode=ro", "sqlite:///tasks.db", "embedded:///a#b"],
)
def test_a_url_of_another_form_is_refused(url) -> None:
    with pytest.raises(SettingsError, match=r"embedded:///relative\.db"):
        open_broker(url, clock=CLOCK)


def test_a_relative_url_is_relative_to_the_working_directory_at_opening(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    broker = open_broker("embedded:///some%20tasks.db", clock=CLOCK)
    monkeypatch.chdir("/")
    broker.declare([Queue("q", mode=Mode.PULL)])
    assert_works(broker)
    broker.close()
    assert (tmp_path / "some tasks.db").exists()


def test_a_missing_directory_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/nowhere"):
        open_broker(f"embedded:///{tmp_path}/nowhere/tasks.db", clock=CLOCK)
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_in_place_of_the_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path} is a directory"):
        open_broker(f"embedded:///{tmp_path}", clock=CLOCK)


@pytest.mark.parametrize("content", [b"queue:\n- name: default\n" * 100, b"SQLite format 3\x00" + b"\xa5" * 8192])
def test_a_file_that_is_no_database_is_named_and_left_alone(path, content) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError, match=str(path)):
        open_broker(f"embedded:///{path}", clock=CLOCK)
    assert path.read_bytes() == content


def test_a_newer_version_is_not_touched(path) -> None:
    opened_at(path).close()
    change(path, "UPDATE broker_meta SET value = 99")
    with pytest.raises(StorageError, match=r"version 99.*upgrade"):
        open_broker(f"embedded:///{path}", clock=CLOCK)


def test_a_file_that_may_not_be_written_is_refused_at_opening(path, tmp_path) -> None:
    opened_at(path).close()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    assert "ConfigurationError" in opened_by_a_stranger(path)
    tmp_path.chmod(0o755)


def test_pages_overwritten_while_closed_are_reported_with_the_file(path) -> None:
    broker = opened_at(path)
    fill(broker)
    broker.close()
    overwrite(path)
    with pytest.raises(StorageError, match=str(path)):  # at opening or at use
        close_after(open_broker(f"embedded:///{path}", clock=CLOCK), use_all_of)


def test_pages_overwritten_while_open_are_reported_and_a_restored_file_works_again(path, opened, tmp_path) -> None:
    fill(opened)
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, tmp_path / "backup.db")
    overwrite(path)
    outcomes: list[object] = []
    for attempt in range(3):
        outcomes += publish(opened, message(1000 + attempt))
        with pytest.raises(StorageError, match=str(path)):
            use_all_of(opened)
    with path.open("r+b") as file:
        file.write((tmp_path / "backup.db").read_bytes())
    for leftover in ("-wal", "-shm"):
        Path(f"{path}{leftover}").unlink(missing_ok=True)
    eventually(lambda: publish(opened, message(5000)) == [None], "the restored file to be used")
    use_all_of(opened)
    assert_works(opened)


def test_a_file_removed_while_open_takes_no_more_messages(path, opened) -> None:
    fill(opened, 3)
    path.rename(path.with_suffix(".away"))
    (outcome,) = publish(opened, message(10))
    assert isinstance(outcome, StorageError)
    assert str(path) in str(outcome)
    assert not path.exists()
    assert [check.status for check in opened.check(Needs())][:1] == [CheckStatus.FAILED]
    path.with_suffix(".away").rename(path)
    assert_works(opened)


def test_a_locked_file_is_reported_in_time_and_works_afterwards(path, opened) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    begun_s = time.monotonic()
    (outcome,) = opened.publish([message(1)], 0.3)
    assert isinstance(outcome, BrokerUnavailableError)
    assert "locked by another process for 0." in str(outcome)
    assert time.monotonic() - begun_s < 1.3
    assert opened.depth(Kind.PULL, "q").ready == 0, "reading goes on"
    holder.execute("COMMIT")
    holder.close()
    assert_works(opened)


def test_a_full_database_refuses_and_works_when_there_is_room(opened) -> None:
    fill(opened, 100)
    limit_pages(opened, 60)
    (*first, last) = (publish(opened, message(number, b"x" * 100_000))[0] for number in range(1000, 1005))
    assert isinstance(last, PublishRejectedError)
    assert "free space" in str(last)
    assert opened.depth(Kind.PULL, "q").ready == 100 + first.count(None)
    opened.ack(opened.get(Kind.PULL, "q", 100))
    limit_pages(opened, 1_000_000)
    assert_works(opened)


def test_a_full_disk_refuses_and_works_when_there_is_room(small_disk) -> None:
    broker = opened_at(small_disk / "tasks.db")
    stored = 0
    while (outcome := publish(broker, message(stored, b"x" * 20_000))[0]) is None:
        stored += 1
        assert stored < 1000
    assert isinstance(outcome, PublishRejectedError)
    assert (small_disk / "tasks.db").stat().st_size > 0
    assert broker.depth(Kind.PULL, "q").ready == stored
    (small_disk / "ballast").unlink()
    taken = broker.get(Kind.PULL, "q", 1000)
    assert len(taken) == stored
    broker.ack(taken)
    assert_works(broker)
    broker.close()


def test_a_disk_filled_by_the_log_of_changes_alone_is_healed_by_the_next_call(small_disk) -> None:
    broker = opened_at(small_disk / "tasks.db")
    assert publish(broker, *(message(number, b"x" * 20_000) for number in range(900, 915))) == [None] * 15
    broker.close()  # what is in the log moves to the database, which then has room for itself
    broker = opened_at(small_disk / "tasks.db")
    broker.ack(broker.get(Kind.PULL, "q", 15))
    refused: list[Exception] = []

    def twice(call):
        try:
            return call()
        except TransientError as exc:
            refused.append(exc)
            return call()

    def publish_one(one: Message) -> None:
        (outcome,) = publish(broker, one)
        if outcome:
            raise outcome

    for number in range(100):  # 4 MB of changes, though never more than 20 KB are stored
        twice(lambda number=number: publish_one(message(number, b"x" * 20_000)))
        taken = twice(lambda: broker.get(Kind.PULL, "q", 1))
        twice(lambda taken=taken: broker.ack(taken))
    assert refused
    broker.close()


def test_a_subscription_outlives_a_lock_longer_than_its_patience(path, opened) -> None:
    delivered, lost = [], []
    opened.subscribe("default", Sink(delivered.extend, lambda _: None, lost.append)).demand(5)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute(
        "INSERT INTO broker_messages (queue_id, due_us, key, copy_id, meta, body)"
        " SELECT id, 0, 'k', 'c', '', x'' FROM broker_queues WHERE kind = 'push'"
    )
    time.sleep(2.5)  # longer than the background thread waits for the lock
    holder.execute("COMMIT")
    holder.close()
    eventually(lambda: len(delivered) == 1, "the message")
    assert not lost


def test_a_subscription_is_told_that_its_file_is_gone(path, opened) -> None:
    owned, lost = [], []
    opened.subscribe("default", Sink(lambda _: None, owned.append, lost.append)).demand(1)
    eventually(lambda: owned == [True], "ownership")
    path.rename(path.with_suffix(".away"))
    eventually(lambda: lost, "the loss to be told")
    assert isinstance(lost[0], StorageError)
    path.with_suffix(".away").rename(path)


def test_a_message_that_cannot_be_stored_does_not_affect_the_others(opened) -> None:
    unfit = message(2)
    unfit = Message("copy-2", unfit.kind, unfit.queue, unfit.key, 0, "lone surrogate \ud800", b"")
    distant = Message("copy-3", unfit.kind, unfit.queue, "task-3", 2**70, "{}", b"")
    outcomes = publish(opened, message(1), unfit, distant, message(4))
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        PublishRejectedError,
        PublishRejectedError,
        type(None),
    ]
    assert [d.message.key for d in opened.get(Kind.PULL, "q", 10)] == ["task-1", "task-4"]


def test_a_closed_broker_says_so(opened) -> None:
    opened.close()
    (outcome,) = publish(opened, message(1))
    assert isinstance(outcome, BrokerUnavailableError)
    assert "closed" in str(outcome)
    with pytest.raises(BrokerUnavailableError, match="closed"):
        opened.get(Kind.PULL, "q", 1)


def use_all_of(broker) -> None:
    """Touch every page of every queue; the messages stay."""
    broker.browse(Kind.PULL, "q", 10**6, None)
    broker.restore(broker.get(Kind.PULL, "q", 10**6))


def close_after(broker, use) -> None:
    try:
        use(broker)
    finally:
        broker.close()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def overwrite(path: Path) -> None:
    """Damage every page but the first, in place."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (size - PAGE))


def limit_pages(broker, pages: int) -> None:
    with broker._assembled.connections.writing() as connection:
        connection.execute(f"PRAGMA max_page_count={pages}")


def opened_by_a_stranger(path: Path) -> str:
    """What happens to a user without rights, in a process of its own since tests may run as root."""
    code = (
        "import os, sys; sys.path[:] = sys.argv[2:]\n"
        "from gae_broker_adapters.brokers.embedded import open_broker\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: open_broker('embedded:///' + sys.argv[1], clock=None)\n"
        "except Exception as exc: print(type(exc).__name__, exc)\n"
    )
    for directory in (path.parent, *path.parent.parents):
        if directory.owner() == path.owner() and not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), *sys.path], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB, of which a file to be removed takes half."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    (disk / "ballast").write_bytes(os.urandom(1_000_000))
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # lazy: a failed test leaves its file open
