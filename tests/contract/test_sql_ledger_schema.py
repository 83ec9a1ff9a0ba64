"""The SQL ledger's schema: a database of the first version comes to this one's with all its rows, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from gae_broker.errors import StorageError
from gae_broker.ports import CheckStatus, State
from gae_broker.testing.contracts.ledger_bench import EVER_US, NOW_US, FixedClock
from gae_broker_adapters.ledgers.sql import SqlLedger, open_ledger
from gae_broker_adapters.ledgers.sql.schema import METADATA, VERSION
from tests.servers.postgresql import database

FIRST_VERSION = """
CREATE TABLE ledger_tasks (queue TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, live_copy TEXT,
  eta_us BIGINT NOT NULL, leases INTEGER NOT NULL, named BOOLEAN NOT NULL, created_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL, until_us BIGINT NOT NULL, keep_us BIGINT NOT NULL, prior_keep_us BIGINT NOT NULL,
  kind TEXT, due_us BIGINT, tag BYTES, meta TEXT, body BYTES, PRIMARY KEY (queue, name));
CREATE INDEX ledger_held_by_eta ON ledger_tasks (queue, eta_us, name) WHERE tag IS NOT NULL;
CREATE INDEX ledger_held_by_tag ON ledger_tasks (queue, tag, eta_us, name) WHERE tag IS NOT NULL;
CREATE INDEX ledger_over ON ledger_tasks (keep_us) WHERE state IN ('done', 'deleted');
CREATE INDEX ledger_claimed ON ledger_tasks (changed_us) WHERE state = 'claimed';
CREATE INDEX ledger_unfinished ON ledger_tasks (queue, created_us) WHERE state IN ('claimed', 'live');
CREATE TABLE ledger_queues (queue TEXT PRIMARY KEY, paused BOOLEAN NOT NULL, purged_us BIGINT NOT NULL,
  epoch BIGINT NOT NULL, owner TEXT, executed_last_minute BIGINT, in_flight BIGINT, enforced_rate FLOAT,
  reported_us BIGINT);
CREATE TABLE ledger_payloads (key TEXT PRIMARY KEY, stored_us BIGINT NOT NULL, body BYTES NOT NULL);
CREATE TABLE ledger_schema (version INTEGER NOT NULL);
INSERT INTO ledger_schema VALUES (1);
INSERT INTO ledger_queues VALUES ('q', TRUE, 5, 7, 'me', NULL, NULL, NULL, NULL);
INSERT INTO ledger_tasks VALUES ('q', 'live', 'live', 'copy', 9, 1, TRUE, 3, 4, 0, 9, 0, NULL, NULL, NULL, NULL, NULL);
INSERT INTO ledger_tasks VALUES ('q', 'done', 'done', 'copy', 9, 1, TRUE, 3, 4, 8, 9, 0, NULL, NULL, NULL, NULL, NULL)
"""
"""As release 1 made it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> Iterator[str]:
    """An empty database of its own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    with database(request.getfixturevalue("postgresql_url").replace("+psycopg", "")) as own:
        yield own


def execute(url: str, script: str) -> None:
    engine = sa.create_engine(url)
    script = script.replace("BYTES", "BYTEA" if engine.name == "postgresql" else "BLOB")
    with engine.begin() as connection:
        for statement in script.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()


def layout(url: str) -> object:
    """Every table's columns and indexes."""
    engine = sa.create_engine(url)
    found = sa.inspect(engine)
    tables = {
        table: (
            sorted(column["name"] for column in found.get_columns(table)),
            sorted((index["name"], tuple(index["column_names"])) for index in found.get_indexes(table)),
        )
        for table in METADATA.tables
    }
    engine.dispose()
    return tables


def opened(url: str) -> SqlLedger:
    return open_ledger(url, clock=FixedClock())


def test_the_first_version_becomes_this_one_and_keeps_its_rows(url, tmp_path) -> None:
    execute(url, FIRST_VERSION)
    ledgers = [opened(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(SqlLedger.migrate, ledgers))
    ledger = ledgers[0]
    assert {name: fact.state for name, fact in ledger.facts("q", ["live", "done"]).items()} == {
        "live": State.LIVE,
        "done": State.DONE,
    }
    control = ledger.control("q")
    assert (control.paused, control.epoch, ledger.seen_us("q")) == (True, 7, 0)
    assert ledger.waiting("q", 5) == (1, 9)
    assert ledger.purge("q", NOW_US, NOW_US, NOW_US) == 1
    assert ledger.prune(EVER_US, 10) == 2
    fresh = opened(f"sqlite:///{tmp_path}/fresh.db")
    fresh.migrate()
    assert layout(url) == layout(f"sqlite:///{tmp_path}/fresh.db")
    for one in [*ledgers, fresh]:
        one.close()


def test_what_is_missing_is_told_and_not_made(url) -> None:
    """For a process that may not migrate."""
    execute(url, "SELECT 1")  # a file has to be there at least
    ledger = opened(url)
    with pytest.raises(StorageError, match="has no tables of the ledger: run `gae-broker deploy`"):
        ledger.verify()
    (check,) = ledger.check()
    assert check.status is CheckStatus.WARNING
    assert "deploy" in check.text
    ledger.close()
    execute(url, FIRST_VERSION)
    ledger = opened(url)
    with pytest.raises(StorageError, match=f"has ledger version 1, this release needs {VERSION}: run `gae-broker"):
        ledger.verify()
    ledger.migrate()
    ledger.verify()
    ledger.close()
    execute(url, "UPDATE ledger_schema SET version = 99")
    later = opened(url)
    with pytest.raises(StorageError, match="version 99, this release reads up to"):
        later.verify()
    later.close()
