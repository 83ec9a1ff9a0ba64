"""The embedded broker: the broker contract, then what only it promises."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from gae_broker.testing.contracts.broker import BrokerContract

OPENER = "gae_broker_adapters.brokers.embedded:open_broker"


class TestFile(BrokerContract):
    opener = OPENER
    supersedes_stalled = True

    @pytest.fixture
    def broker_url(self, tmp_path) -> str:
        return f"embedded:///{tmp_path}/tasks.db"

    @pytest.fixture
    def obstruction(self, tmp_path) -> Callable[[], AbstractContextManager[object]]:
        @contextmanager
        def locked() -> Iterator[None]:
            connection = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.close()

        return locked


class TestMemory(BrokerContract):
    opener = OPENER
    shares_processes = False

    @pytest.fixture
    def broker_url(self) -> str:
        return "embedded://"
