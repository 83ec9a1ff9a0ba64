"""The ledger's tables, and the migrations that make them."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from gae_broker.errors import StorageError

METADATA = sa.MetaData()

# Names are compared byte by byte everywhere, so that (eta, name) order is one order in all databases.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

TASKS = sa.Table(
    "ledger_tasks",
    METADATA,
    sa.Column("queue", _TEXT, primary_key=True),
    sa.Column("name", _TEXT, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("live_copy", sa.Text),
    sa.Column("eta_us", sa.BigInteger, nullable=False),
    sa.Column("leases", sa.Integer, nullable=False),
    sa.Column("named", sa.Boolean, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("changed_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
    # Once the task is over, its row suppresses copies until then: see rules.py.
    sa.Column("keep_us", sa.BigInteger, nullable=False),
    # The keep_us of the row that a claim replaced, 0 where there was none.
    sa.Column("prior_keep_us", sa.BigInteger, nullable=False),
    # A message, while the ledger must be able to publish it (a claim), is its only home (a held task), or keeps a copy
    # of what waits where nobody can look it up.
    sa.Column("kind", sa.Text),
    sa.Column("due_us", sa.BigInteger),
    # UTF-8, as PostgreSQL's text cannot hold every character of a tag. Not null: the ledger holds the task.
    sa.Column("tag", sa.LargeBinary),
    sa.Column("meta", sa.Text),
    # The largest column last: SQLite reads a row from its beginning.
    sa.Column("body", sa.LargeBinary),
)

# Conditions stand in queries exactly as in the partial index that serves them, values included: a planner
# does not look into bound parameters.
OVER = TASKS.c.state.in_([sa.literal_column("'done'"), sa.literal_column("'deleted'")])
CLAIMED = TASKS.c.state == sa.literal_column("'claimed'")
UNFINISHED = TASKS.c.state.in_([sa.literal_column("'claimed'"), sa.literal_column("'live'")])
HELD = TASKS.c.tag.is_not(None)
WAITING = sa.and_(UNFINISHED, TASKS.c.tag.is_(None))


def _index(name: str, where: sa.ColumnElement[bool], *columns: sa.Column[object]) -> None:
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


_index("ledger_held_by_eta", HELD, TASKS.c.queue, TASKS.c.eta_us, TASKS.c.name)
_index("ledger_held_by_tag", HELD, TASKS.c.queue, TASKS.c.tag, TASKS.c.eta_us, TASKS.c.name)
_index("ledger_over", OVER, TASKS.c.queue, TASKS.c.keep_us)
_index("ledger_claimed", CLAIMED, TASKS.c.changed_us)
_index("ledger_waiting", WAITING, TASKS.c.queue, TASKS.c.eta_us, TASKS.c.name)

QUEUES = sa.Table(
    "ledger_queues",
    METADATA,
    sa.Column("queue", _TEXT, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("purged_us", sa.BigInteger, nullable=False, default=0),
    sa.Column("epoch", sa.BigInteger, nullable=False, default=0),
    sa.Column("owner", sa.Text),
    sa.Column("executed_last_minute", sa.BigInteger),
    sa.Column("in_flight", sa.BigInteger),
    sa.Column("enforced_rate", sa.Float),
    sa.Column("reported_us", sa.BigInteger),
    # Every copy that entered the queue before then was delivered.
    sa.Column("seen_us", sa.BigInteger, nullable=False, default=0, server_default="0"),
)

DELAYED = sa.Table(
    "ledger_delayed",
    METADATA,
    sa.Column("queue", _TEXT, primary_key=True),
    sa.Column("until_us", sa.BigInteger, primary_key=True),
    sa.Column("width_us", sa.BigInteger, primary_key=True),
    sa.Column("tasks", sa.BigInteger, nullable=False),
    sa.Column("first_us", sa.BigInteger, nullable=False),
)

WATCHES = sa.Table(
    "ledger_watches",
    METADATA,
    # From when to when the broker was known to work; the last row's is the present watch.
    sa.Column("began_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_us", sa.BigInteger, nullable=False),
)

PAYLOADS = sa.Table(
    "ledger_payloads",
    METADATA,
    sa.Column("key", _TEXT, primary_key=True),
    sa.Column("stored_us", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

_VERSION = sa.Table("ledger_schema", METADATA, sa.Column("version", sa.Integer, nullable=False))


def _count_what_waits(connection: sa.Connection) -> None:
    """From version 1: a census of what waits, how far queues were read, and the times without a watch."""
    for table in (DELAYED, WATCHES):
        table.create(connection)
    connection.exec_driver_sql("ALTER TABLE ledger_queues ADD COLUMN seen_us BIGINT NOT NULL DEFAULT 0")
    for name in ("ledger_unfinished", "ledger_over"):
        connection.exec_driver_sql(f"DROP INDEX {name}")
    for index in TASKS.indexes:
        if index.name in {"ledger_waiting", "ledger_over"}:
            index.create(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_count_what_waits,)
"""What brings version 1 to 2, 2 to 3 and so on; where there is no schema the newest is made at once."""

VERSION = len(MIGRATIONS) + 1
"""This release's version."""


def version(connection: sa.Connection) -> int:
    """The schema's version, 0 where there is none."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return 0
    found = connection.execute(sa.select(_VERSION.c.version)).scalar()
    return 0 if found is None else int(found)


def is_current(found: int) -> bool:
    """Whether a version is this release's."""
    return found == VERSION


def migrate(connection: sa.Connection, where: str, now_us: int) -> None:
    """Bring the schema to this release's version; to be called in a transaction that nobody else is in.

    From ``now_us`` on a time without a watch counts.

    Raises:
        StorageError: it is of a later release.
    """
    found = version(connection)
    if is_current(found):
        return
    require_readable(found, where)
    if found:
        for step in MIGRATIONS[found - 1 :]:
            step(connection)
    else:
        METADATA.create_all(connection)
    if not connection.execute(sa.select(sa.func.count()).select_from(WATCHES)).scalar_one():
        connection.execute(WATCHES.insert().values(began_us=now_us, last_us=now_us))
    connection.execute(_VERSION.delete())
    connection.execute(_VERSION.insert().values(version=VERSION))


def require_readable(found: int, where: str) -> None:
    """Refuse a schema of a later release.

    Raises:
        StorageError: the text names both versions.
    """
    if found > VERSION:
        raise StorageError(
            f"{where} has ledger version {found}, this release reads up to {VERSION}; upgrade gae-broker",
        )


def require(found: int, where: str) -> None:
    """Refuse a schema of any release but this one.

    Raises:
        StorageError: the text says what to do.
    """
    require_readable(found, where)
    if not found:
        raise StorageError(f"{where} has no tables of the ledger: run `gae-broker deploy`, which makes them")
    if not is_current(found):
        raise StorageError(
            f"{where} has ledger version {found}, this release needs {VERSION}: run `gae-broker deploy`",
        )
