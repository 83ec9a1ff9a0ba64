"""The outboxes in applications' databases keep the contract."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gae_broker.testing.contracts.outbox import NOW_US, Box, OutboxContract
from gae_broker_adapters.sqlalchemy import table
from gae_broker_adapters.sqlalchemy.opening import open_outbox


def sql_box(rows) -> Box:
    rows.table.metadata.create_all(rows.engine)

    def write(tasks, end):
        with rows.engine.connect() as connection:
            rows.insert(connection, "unit", tasks, NOW_US)
            getattr(connection, end)()

    return Box(rows, lambda tasks: write(tasks, "commit"), lambda tasks: write(tasks, "rollback"))


class TestSQLAlchemyOnSQLite(OutboxContract):
    @pytest.fixture
    def box(self, tmp_path):
        rows = open_outbox(f"sqlite:///{tmp_path}/app.db")
        yield sql_box(rows)
        rows.close()


class TestSQLAlchemyOnPostgreSQL(OutboxContract):
    @pytest.fixture
    def box(self, postgresql_url):
        rows = open_outbox(postgresql_url)
        yield sql_box(rows)
        rows.close()


def test_the_table_is_defined_once_in_a_collection():
    metadata = sa.MetaData(schema="app")
    assert table.define(metadata) is table.define(metadata)
    assert table.define(metadata).fullname == "app.gae_broker_outbox"
