"""The outbox's table. The Django app's has the same columns, so either's relay empties either's table."""

from __future__ import annotations

import sqlalchemy as sa

NAME = "gae_broker_outbox"
_LONGEST = 2**32 - 1  # MySQL chooses the kind of blob by it; others need no length
_ID = 64


def define(metadata: sa.MetaData) -> sa.Table:
    """The table in this collection; it is added where it is not there."""
    known = metadata.tables.get(NAME if metadata.schema is None else f"{metadata.schema}.{NAME}")
    if known is not None:
        return known
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Table(
        NAME,
        metadata,
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("queue", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("copy_id", sa.String(_ID), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        # Bytes, as it may hold characters that not every database takes in a text.
        sa.Column("meta", sa.LargeBinary(_LONGEST), nullable=False),
        sa.Column("body", sa.LargeBinary(_LONGEST), nullable=False),
        sa.Column("large_key", sa.String(_ID)),
        sa.Column("large_body", sa.LargeBinary(_LONGEST)),
        sa.Column("added_us", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.String(_ID), nullable=False),
        sa.Column("claimed_by", sa.String(_ID), nullable=False, server_default=""),
        sa.Column("claimed_until_us", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Index("gae_broker_outbox_queue", "queue", "id"),
        sa.Index("gae_broker_outbox_unit", "unit"),
        sqlite_autoincrement=True,  # or the ids of removed rows would come again, before those of rows that stay
    )
