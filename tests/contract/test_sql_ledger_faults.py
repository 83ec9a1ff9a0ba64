"""What the SQL ledger does when its database cannot be used: the error that says what to do, then all as before."""

import os
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import (
    ConfigurationError,
    LedgerUnavailableError,
    PublishRejectedError,
    SettingsError,
    StorageError,
)
from gae_broker.ports import CheckStatus, Claim
from gae_broker.testing.contracts.ledger_bench import NOW_US, TAKEOVER_US, UNTIL_US, FixedClock
from gae_broker_adapters.ledgers.sql import SqlLedger, open_ledger

PAGE = 4096


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def opened(path):
    ledger = opened_at(path)
    yield ledger
    ledger.close()


def opened_at(path: Path) -> SqlLedger:
    ledger = open_ledger(f"sqlite:///{path}", clock=FixedClock())
    ledger.migrate()
    return ledger


def wish(name: str, body: bytes = b"") -> Claim:
    return Claim(Message(f"copy-{name}", Kind.PUSH, "q", name, 0, "{}", body), True, NOW_US)


def claim(ledger: SqlLedger, *names: str, body: bytes = b"") -> None:
    ledger.claim("q", [wish(name, body) for name in names], NOW_US, TAKEOVER_US)


def fill(ledger: SqlLedger, count: int = 500) -> list[str]:
    names = [f"task-{number:05}" for number in range(count)]
    claim(ledger, *names, body=b"x" * 100)
    return names


def assert_works(ledger: SqlLedger) -> None:
    claim(ledger, "afterwards")
    assert ledger.delete("q", ["afterwards"], NOW_US, UNTIL_US, False) == ["deleted"]
    ledger.free("q", ["afterwards"])


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/ledger",
        "sqlite://host/ledger.db",
        "sqlite:///ledger.db?mode=ro",
        "sqlite+aiosqlite:///ledger.db",
        "postgresql+asyncpg://localhost/ledger",
        "no url",
    ],
)
def test_a_url_that_names_no_ledger_is_refused(url) -> None:
    with pytest.raises(SettingsError, match=r"expected|psycopg"):
        open_ledger(url, clock=FixedClock())


def test_no_error_shows_a_password() -> None:
    ledger = open_ledger("postgresql://user:s3cret@127.0.0.1:1/ledger", clock=FixedClock())
    with pytest.raises(LedgerUnavailableError, match="cannot be reached") as caught:
        ledger.migrate()
    assert "s3cret" not in str(caught.value)
    (check,) = ledger.check()
    assert check.status is CheckStatus.FAILED
    assert "s3cret" not in check.text
    with pytest.raises(SettingsError) as refused:
        open_ledger("postgresql+asyncpg://user:s3cret@localhost/ledger", clock=FixedClock())
    assert "s3cret" not in str(refused.value)


def test_a_missing_directory_is_named(path) -> None:
    with pytest.raises(ConfigurationError, match=r"the directory .*/none of .* does not exist"):
        opened_at(path / "none" / "ledger.db")


def test_a_directory_is_no_ledger(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened for writing"):
        opened_at(tmp_path)


def test_a_file_that_is_no_database_is_not_touched(path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be one\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=f"{path} is damaged"):
        opened_at(path)
    assert path.read_bytes() == before


def test_a_file_of_a_later_release_is_refused_with_both_versions(path) -> None:
    opened_at(path).close()
    execute(path, "UPDATE ledger_schema SET version = 99")
    later = open_ledger(f"sqlite:///{path}", clock=FixedClock())
    with pytest.raises(StorageError, match="version 99, this release reads up to 2"):
        later.migrate()
    (check,) = later.check()
    assert (check.status, "version 99" in check.text) == (CheckStatus.FAILED, True)
    later.close()


def test_a_file_without_tables_asks_for_them(path) -> None:
    sqlite3.connect(path).close()
    ledger = open_ledger(f"sqlite:///{path}", clock=FixedClock())
    with pytest.raises(StorageError, match="lacks this release's tables"):
        claim(ledger, "a")
    (check,) = ledger.check()
    assert (check.status, "has no tables yet" in check.text) == (CheckStatus.WARNING, True)
    ledger.migrate()
    assert_works(ledger)
    ledger.close()


def test_pages_overwritten_while_open_are_reported_and_a_restored_file_works_again(path, opened, tmp_path) -> None:
    names = fill(opened)
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, tmp_path / "backup.db")
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (path.stat().st_size - PAGE))
    opened._connections._start_over()  # what it has read it need not read again
    for _ in range(2):
        with pytest.raises(StorageError, match=f"{path} is damaged"):
            opened.facts("q", names)
        with pytest.raises(StorageError, match="recover"):
            opened.finish("q", [(name, f"copy-{name}") for name in names], NOW_US, UNTIL_US)
    with path.open("r+b") as file:
        file.write((tmp_path / "backup.db").read_bytes())
    assert len(opened.facts("q", names)) == len(names)
    assert_works(opened)


def test_a_file_removed_while_open_takes_no_more_facts(path, opened) -> None:
    claim(opened, "a")
    path.rename(path.with_suffix(".away"))
    with pytest.raises(StorageError, match=f"{path} is gone"):
        opened.facts("q", ["a"])
    with pytest.raises(LedgerUnavailableError, match="cannot be opened"):
        claim(opened, "b")
    assert not path.exists()
    assert [check.status for check in opened.check()] == [CheckStatus.FAILED]
    path.with_suffix(".away").rename(path)
    assert set(opened.facts("q", ["a", "b"])) == {"a"}
    assert_works(opened)


def test_a_file_replaced_while_open_is_noticed(path, opened, tmp_path) -> None:
    claim(opened, "a")
    opened_at(tmp_path / "other.db").close()
    (tmp_path / "other.db").rename(path)
    for leftover in ("-wal", "-shm"):
        path.with_name(f"{path.name}{leftover}").unlink()
    with pytest.raises(StorageError, match="was replaced"):
        claim(opened, "b")
    assert opened.facts("q", ["a", "b"]) == {}, "the new file is in use now"


def test_a_locked_file_is_reported_and_can_be_read(path, opened, monkeypatch) -> None:
    monkeypatch.setattr("gae_broker_adapters.ledgers.sql.connections.WAIT_S", 0.2)
    claim(opened, "a")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailableError, match="locked by another process"):
        claim(opened, "b")
    assert set(opened.facts("q", ["a", "b"])) == {"a"}
    holder.execute("COMMIT")
    holder.close()
    assert_works(opened)


def test_a_lock_that_ends_in_time_is_waited_for(path, opened) -> None:
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
    timer.start()
    claim(opened, "a")
    timer.join()
    holder.close()
    assert set(opened.facts("q", ["a"])) == {"a"}


def test_a_full_disk_refuses_and_works_when_there_is_room(small_disk) -> None:
    ledger = opened_at(small_disk / "ledger.db")
    stored = 0
    with pytest.raises(LedgerUnavailableError, match="free space"):  # noqa: PT012 - until it does
        while stored < 1000:
            claim(ledger, f"task-{stored}", body=b"x" * 20_000)
            stored += 1
    names = [f"task-{number}" for number in range(stored + 1)]
    assert len(ledger.facts("q", names)) == stored
    (small_disk / "ballast").unlink()
    assert_works(ledger)
    ledger.close()


def test_what_cannot_be_stored_is_refused_as_a_whole(opened) -> None:
    claims = [wish("a"), Claim(Message("c", Kind.PUSH, "q", "b", 2**70, "{}", b""), True, NOW_US)]
    with pytest.raises(PublishRejectedError):
        opened.claim("q", claims, NOW_US, TAKEOVER_US)
    with pytest.raises(PublishRejectedError):
        opened.put_payload("lone surrogate \ud800", b"", NOW_US)
    assert opened.facts("q", ["a", "b"]) == {}
    assert_works(opened)


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


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
    subprocess.run(["umount", str(disk)], check=True)
