"""No statement of the SQL ledger reads more rows than it needs, however many are stored."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, Move
from gae_broker.testing.contracts.ledger_bench import FixedClock
from gae_broker_adapters.ledgers.sql import SqlLedger, open_ledger
from tests.servers.postgresql import database

BY_NAME = "(queue=? AND name=?)"
FEW = {
    BY_NAME,
    "ledger_held_by_eta (queue=? AND eta_us<?)",
    "ledger_held_by_eta (queue=?)",  # with a limit, in its order
    "ledger_held_by_eta (queue=? AND (eta_us,name)>(?,?))",
    "ledger_held_by_tag (queue=? AND tag=? AND eta_us<?)",
    "ledger_claimed (changed_us<?)",
    "ledger_held_by_tag (queue=? AND tag>?)",  # to purge it
    "ledger_over (queue>?)",  # with a limit of one
    "ledger_over (queue=? AND keep_us<?)",
    "ledger_over (queue=?)",  # to lift all of a queue's tombstones
    "ledger_waiting (queue=?)",  # to purge it, or with a limit, in its order
    "ledger_waiting (queue=? AND eta_us>?)",  # to count what waits: no rows, only index entries
    "ledger_waiting (queue=? AND (eta_us,name)>(?,?))",
}
"""How a statement may look for rows."""


def message(name: str) -> Message:
    return Message(f"copy-{name}", Kind.PULL, "q", name, 5, "{}", b"")


def use_task_rows(ledger: SqlLedger) -> None:
    names = ["a", "b", "held"]
    claims = [Claim(message("a"), True, 5), Claim(message("b"), True, 5), Claim(message("held"), False, 5, "tag")]
    ledger.claim("q", claims, 1_000, 500)
    ledger.confirm("q", [("a", "copy-a")], 1_000)
    ledger.release("q", [("b", "copy-b")])
    ledger.claim("q", claims, 1_000, 500)
    ledger.stale_claims(2_000, 10)
    ledger.facts("q", names)
    ledger.advance("q", [Move("a", "copy-a", "next-a", 7, 1, True, 5), Move("new", "x", "y", 7, 1, True, 5)], 1_000)
    ledger.finish("q", [("a", "next-a")], 1_000, 1_500)
    ledger.claim("q", claims, 2_000, 500)
    ledger.held_ready("q", 10, 2_000)
    ledger.lease_held("q", None, 10, 2_000, 3_000)
    ledger.lease_held("q", "tag", 10, 4_000, 5_000)
    ledger.move_held("q", "held", 5_000, 6_000, 4_000)
    ledger.held("q", 10, None)
    ledger.held("q", 10, (5, "a"))
    ledger.delete("q", ["held", "unknown"], 5_000, 6_000, True)
    ledger.purge("q", 10, 5_000, 6_000)
    ledger.free("q", names)
    ledger.free("q", None)
    ledger.parked("q", names)
    ledger.list_parked("q", 10, None)
    ledger.list_parked("q", 10, (5, "a"))
    ledger.waiting("q", 5)
    ledger.seen({"q": 10**17})
    ledger.prune(10**17, 10)
    ledger.check()


def test_every_statement_finds_its_rows_by_an_index(tmp_path, monkeypatch) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", clock=FixedClock())
    ledger.migrate()
    statements: set[str] = set()
    database = ledger._connections.database
    connect = database._connect

    def connect_traced() -> sqlite3.Connection:
        connection = connect()
        connection.set_trace_callback(statements.add)
        return connection

    monkeypatch.setattr(database, "_connect", connect_traced)
    ledger._connections._start_over()
    use_task_rows(ledger)
    ledger.close()
    about_rows = {statement for statement in statements if "ledger_tasks" in statement and "sqlite_" not in statement}
    assert len(about_rows) > 20
    reader = sqlite3.connect(tmp_path / "ledger.db")
    for statement in about_rows:
        for *_, step in reader.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
            if "ledger_tasks" in step:
                assert any(step.endswith(way) for way in FEW), f"{step}: {statement}"
            assert "TEMP B-TREE" not in step, f"{step}: {statement}"
    reader.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def test_no_statement_goes_through_a_table_in_postgresql(postgresql_url) -> None:
    with database(postgresql_url.replace("+psycopg", "")) as url:
        ledger = open_ledger(url, clock=FixedClock())
        ledger.migrate()
        sent: list[tuple[str, object]] = []
        engine = sa.create_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for state, count in (("live", 30_000), ("done", 30_000)):
                connection.exec_driver_sql(MANY, {"state": state, "count": count, "tag": None, "body": None})
            connection.exec_driver_sql(MANY, {"state": "live", "count": 100_000, "tag": "tag-", "body": b"x" * 50})
            connection.exec_driver_sql("ANALYZE")
            use_task_rows(ledger)  # opens the pool
            sa.event.listen(
                ledger._connections._opened(), "before_cursor_execute", lambda *a: sent.append((a[2], a[3]))
            )
            use_task_rows(ledger)
            about_rows = {text: values for text, values in sent if "ledger_tasks" in text}
            assert len(about_rows) > 20
            for text, values in about_rows.items():
                (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", values).scalar_one()
                scans = [node for node in nodes(plan["Plan"]) if node["Node Type"] == "Seq Scan"]
                assert "ledger_tasks" not in {scan["Relation Name"] for scan in scans}, text
        engine.dispose()
        ledger.close()


MANY = """
INSERT INTO ledger_tasks (queue, name, state, live_copy, eta_us, leases, named, created_us, changed_us, until_us,
  keep_us, prior_keep_us, kind, due_us, tag, meta, body)
SELECT 'many-' || mod(n, 3), %(state)s::text || coalesce(%(tag)s::text, '') || n, %(state)s::text, 'copy',
  n, 0, true, n, n, 0, n, 0, 'pull', n, convert_to(%(tag)s::text || n, 'UTF8'), '{}', %(body)s::bytea
FROM generate_series(1, %(count)s) AS n
"""
"""In other queues too, and each held task with a tag of its own."""
