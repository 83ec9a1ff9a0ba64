"""The SQL ledger: the ledger contract in a file, in memory, and in PostgreSQL."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import sqlalchemy as sa

from gae_broker.errors import LedgerUnavailableError
from gae_broker.testing.contracts.ledger import LedgerContract
from gae_broker_adapters.ledgers.sql import connections as connections_module
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.sqlite import SQLite

OPENER = "gae_broker_adapters.ledgers.sql:open_ledger"


class TestFile(LedgerContract):
    opener = OPENER

    @pytest.fixture
    def ledger_url(self, tmp_path) -> str:
        return f"sqlite:///{tmp_path}/ledger.db"

    @pytest.fixture
    def obstruction(self, tmp_path, monkeypatch) -> Callable[[], AbstractContextManager[object]]:
        monkeypatch.setattr("gae_broker_adapters.ledgers.sql.connections.WAIT_S", 0.1)

        @contextmanager
        def locked() -> Iterator[None]:
            connection = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.close()

        return locked


class TestMemory(LedgerContract):
    opener = OPENER
    shares_processes = False

    @pytest.fixture
    def ledger_url(self) -> str:
        return "sqlite://"


class TestPostgreSQL(LedgerContract):
    opener = OPENER

    @pytest.fixture
    def ledger_url(self, postgresql_url) -> str:
        return postgresql_url


@pytest.mark.parametrize("where", ["", "/{}/ledger.db"], ids=["memory", "file"])
def test_closing_waits_for_the_calls_under_way(tmp_path, where):
    # SQLite crashes the process where a connection is closed under a statement.
    connections = Connections(SQLite(sa.make_url("sqlite://" + where.format(tmp_path))))
    connections.database.prepare()
    entered, go_on, answers = threading.Event(), threading.Event(), []

    def work(connection: sa.Connection) -> object:
        entered.set()
        assert go_on.wait(60)
        return connection.execute(sa.text("SELECT 5")).scalar_one()

    caller = threading.Thread(target=lambda: answers.append(connections.write(work)))
    closer = threading.Thread(target=connections.close)
    caller.start()
    assert entered.wait(60)
    closer.start()
    closer.join(0.2)
    closed_at_once = not closer.is_alive()
    go_on.set()
    caller.join()
    closer.join()
    assert not closed_at_once
    assert answers == [5]
    with pytest.raises(LedgerUnavailableError, match="closed"):
        connections.read(work)


def test_who_waits_long_tries_more_often(tmp_path, monkeypatch) -> None:
    """Or it would starve beside a process whose lock is free for a moment between two transactions only."""
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    seconds, pauses = [0.0], []

    def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        seconds[0] += pause_s

    monkeypatch.setattr(connections_module.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(connections_module.time, "sleep", sleep)
    connections = Connections(SQLite(sa.make_url(f"sqlite:///{tmp_path}/ledger.db")))
    with pytest.raises(LedgerUnavailableError, match="stayed locked"):
        connections.write(lambda _: None)
    monkeypatch.undo()
    holder.close()
    connections.close()
    assert max(pauses[:50]) > 0.004, "others are not disturbed"
    assert max(pauses[-50:]) < 0.001
