"""The SQL ledger: the ledger contract in a file, in memory, and in PostgreSQL."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from gae_broker.testing.contracts.ledger import LedgerContract

OPENER = "gae_broker_adapters.ledgers.sql:open_ledger"
POSTGRESQL = "GAE_BROKER_TEST_POSTGRESQL"


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


@pytest.mark.skipif(POSTGRESQL not in os.environ, reason=f"{POSTGRESQL} names no database to use")
class TestPostgreSQL(LedgerContract):
    opener = OPENER

    @pytest.fixture
    def ledger_url(self) -> str:
        return os.environ[POSTGRESQL]
