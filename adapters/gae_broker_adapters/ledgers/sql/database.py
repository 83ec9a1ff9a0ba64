"""What differs between the databases, as one Protocol."""

from __future__ import annotations

from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gae_broker.errors import Error
from gae_broker.ports import Check


class Database(Protocol):
    """One kind of database.

    Attributes:
        where: the database, as messages name it, without its password.
        serial: one writer at a time, so those of this process take turns instead of colliding.
        private: it lives in one connection of one process.
    """

    where: str
    serial: bool
    private: bool

    def prepare(self) -> None:
        """Make the database exist where that is the ledger's business."""

    def is_there(self) -> bool:
        """Whether it exists, as far as can be told without opening it."""

    def open(self) -> sa.Engine:
        """A new pool of connections."""

    def require_intact(self) -> None:
        """Make sure that what was opened is still the database.

        Raises:
            StorageError: it was removed or replaced; it is to be opened anew.
        """

    def begin(self, connection: sa.Connection) -> None:
        """Start a write transaction."""

    def commit(self, connection: sa.Connection) -> None:
        """Make a write transaction durable."""

    def rollback(self, connection: sa.Connection) -> None:
        """Undo a write transaction."""

    def exclude_others(self, connection: sa.Connection) -> None:
        """Let no other process migrate until the transaction ends."""

    def allow_long(self, connection: sa.Connection) -> None:
        """Let this transaction take as long as it needs: it concerns a whole queue, or the schema."""

    def passes(self, exc: SQLAlchemyError, *, committing: bool) -> bool:
        """Whether nothing was done, and the same transaction may succeed in a moment."""

    def translate(self, exc: SQLAlchemyError) -> Error:
        """The error to raise in place of the driver's; its text says what to do."""

    def now_us(self, connection: sa.Connection) -> int | None:
        """The time of the server's clock, ``None`` where it is this host's."""

    def health(self, connection: sa.Connection) -> list[Check]:
        """What is worth telling the operator of this kind of database."""
