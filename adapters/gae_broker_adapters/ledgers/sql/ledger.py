"""The ledger: its parts put together, and opened by URL."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from gae_broker.errors import Error, SettingsError, StorageError
from gae_broker.ports import Check, Clock
from gae_broker_adapters.ledgers.sql import health, schema
from gae_broker_adapters.ledgers.sql.census import SqlCensus
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.controls import SqlControls
from gae_broker_adapters.ledgers.sql.database import Database
from gae_broker_adapters.ledgers.sql.facts import SqlFacts
from gae_broker_adapters.ledgers.sql.held import SqlHeldTasks
from gae_broker_adapters.ledgers.sql.parked import SqlParked
from gae_broker_adapters.ledgers.sql.payloads import SqlPayloads
from gae_broker_adapters.ledgers.sql.postgresql import PostgreSQL
from gae_broker_adapters.ledgers.sql.purge import SqlPurge
from gae_broker_adapters.ledgers.sql.sqlite import SQLite
from gae_broker_adapters.ledgers.sql.watch import SqlWatch


class SqlLedger(SqlFacts, SqlPurge, SqlParked, SqlHeldTasks, SqlCensus, SqlWatch, SqlControls, SqlPayloads):
    """`gae_broker.ports.Ledger` over SQL.

    Usable from any thread, and from a forked child. Every failure of the database is a `LedgerUnavailableError`,
    or a `StorageError` where trying again will not help.

    Args:
        database: where it is.
        clock: tells `check` how old claims are, and `migrate` since when there are rows; nothing else reads it.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._connections = Connections(database)
        self._clock = clock

    def migrate(self) -> None:
        """Create the schema, or bring it to this release's version.

        Raises:
            StorageError: it is of a later release.
        """
        database = self._connections.database
        database.prepare()
        if schema.is_current(self._connections.read(schema.version)):
            return

        def work(connection: sa.Connection) -> None:
            database.allow_long(connection)
            database.exclude_others(connection)
            schema.migrate(connection, database.where, self._clock.now_us())

        self._connections.write(work)

    def verify(self) -> None:
        """Make sure that the schema is of this release's version, and change nothing.

        Raises:
            StorageError: it is not; the text says what to do.
        """
        database = self._connections.database
        if not database.is_there():
            raise StorageError(f"{database.where} is not there: run `gae-broker deploy`, which makes it")
        schema.require(self._connections.read(schema.version), database.where)

    def check(self) -> list[Check]:
        """Whether it can be read and written, its version, and whether claims wait for a sweeper."""
        try:
            return health.check(self._connections, self._clock)
        except Error as exc:
            return [health.failed(exc)]

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()


def open_ledger(url: str, *, clock: Clock) -> SqlLedger:
    """Open the ledger at ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (in memory) or ``postgresql://...``.

    Nothing is connected to yet, and no file made.

    Raises:
        SettingsError: the url is not of these forms, or the driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError as exc:
        raise SettingsError(
            "the ledger url cannot be read; expected sqlite:///FILE or postgresql://HOST/DATABASE"
        ) from exc
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return SqlLedger(SQLite(parsed), clock)
    if kind == "postgresql":
        return SqlLedger(PostgreSQL(parsed), clock)
    raise SettingsError(f"the ledger cannot be kept in {kind!r}; expected sqlite:///FILE or postgresql://HOST/DATABASE")
