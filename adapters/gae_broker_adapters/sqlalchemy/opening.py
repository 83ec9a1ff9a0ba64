"""Opens an outbox by its database's URL, for relays that know nothing else of the application."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from gae_broker.errors import SettingsError
from gae_broker_adapters.sqlalchemy import table
from gae_broker_adapters.sqlalchemy.rows import Rows

_PSYCOPG = "postgresql+psycopg"


class OpenedRows(Rows):
    """An outbox on an engine of its own."""

    def close(self) -> None:
        """Close its connections."""
        self.engine.dispose()


def open_outbox(url: str) -> OpenedRows:
    """Open the outbox in the database at ``sqlite:///FILE`` or ``postgresql://...``, whichever framework made it.

    The table is looked for where the database's user finds tables; PostgreSQL's ``?options=-csearch_path%3DNAME``
    names another schema. Nothing is connected to yet.

    Raises:
        SettingsError: the url is not of these forms, or the driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError as exc:
        raise SettingsError(
            "the outbox's url cannot be read; expected sqlite:///FILE or postgresql://HOST/DATABASE"
        ) from exc
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername=_PSYCOPG)
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise SettingsError("outbox: a SQLite database in memory belongs to one process; name a file: sqlite:///FILE")
    try:
        engine = sa.create_engine(parsed, pool_pre_ping=True)
    except ImportError as exc:
        raise SettingsError(f"outbox: the driver of {parsed.drivername} is not installed: {exc}") from exc
    return OpenedRows(engine, table.define(sa.MetaData()))
