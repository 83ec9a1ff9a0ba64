"""The rows of an outbox, by SQLAlchemy Core: written in the application's transactions, claimed in the relay's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.setting_values import mask
from gae_broker.domain.task import Kind, LargePayload
from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import OutboxUnavailableError
from gae_broker.ports import ClaimedRows, OutboxRow, Place, RowClaim, Waiting

_SQLITE = "sqlite"


class Rows:
    """A `gae_broker.ports.Outbox` in one database.

    Args:
        engine: the application's.
        table: as `table.define` makes it.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self.engine = engine
        self.table = table
        self.where = f"table {table.fullname} of {engine.url.render_as_string(hide_password=True)}"

    # ------------------------------------------------------------------------------------ in the application's

    def insert(self, connection: sa.Connection, unit: str, tasks: Sequence[Enlisted], now_us: int) -> None:
        """Write tasks, in order; raises what SQLAlchemy raises."""
        for values in (_values(task) for task in tasks):  # one by one: not every driver numbers many in order
            connection.execute(self.table.insert().values(**values, unit=unit, added_us=now_us))

    def count(self, connection: sa.Connection, unit: str) -> int:
        """How many rows of a transaction there are at this point of it; raises what SQLAlchemy raises."""
        counting = sa.select(sa.func.count()).select_from(self.table).where(self.table.c.unit == unit)
        return int(connection.execute(counting).scalar_one())

    # ------------------------------------------------------------------------------------ the relay's own

    def queues(self) -> Sequence[str]:
        """See `Outbox`."""
        queue = self.table.c.queue
        with self._begun() as connection:
            return list(connection.execute(sa.select(queue).distinct().order_by(queue)).scalars())

    def waiting(self) -> Waiting:
        """See `Outbox`."""
        with self._begun() as connection:
            counting = sa.select(sa.func.count(), sa.func.min(self.table.c.added_us)).select_from(self.table)
            return Waiting(*connection.execute(counting).one())

    def claim(self, queue: str, claim: RowClaim) -> ClaimedRows:
        """See `Outbox`."""
        table = self.table
        mine = table.c.queue == queue
        with self._begun() as connection:
            # A look that takes no lock: mostly there is nothing, and SQLite has one lock for all.
            if connection.execute(sa.select(table.c.id).where(mine).limit(1)).first() is None:
                return ClaimedRows()
        with self._begun() as connection:
            self._lock(connection)
            size = sa.func.length(table.c.body) + sa.func.coalesce(sa.func.length(table.c.large_body), 0)
            first = (
                sa.select(table.c.id, table.c.claimed_until_us, size)
                .where(mine)
                .order_by(table.c.id)
                .limit(claim.rows)
                .with_for_update(skip_locked=True)
            )
            found = connection.execute(first).all()
            head = connection.execute(sa.select(sa.func.min(table.c.id)).where(mine)).scalar()
            # Rows that were skipped are another relay's; whoever took what comes after them would overtake it.
            if not found or found[0][0] != head or any(until_us > claim.now_us for _, until_us, _ in found):
                return ClaimedRows(held=head is not None)
            places = _within(claim.size, [(place, length) for place, _, length in found])
            among = table.c.id.in_(places)
            connection.execute(
                table.update().where(among).values(claimed_by=claim.token, claimed_until_us=claim.until_us)
            )
            rows = connection.execute(sa.select(table).where(among).order_by(table.c.id)).all()
        return ClaimedRows([_row(row) for row in rows])

    def forget(self, token: str, places: Sequence[Place]) -> None:
        """See `Outbox`."""
        with self._begun() as connection:
            connection.execute(self.table.delete().where(self._held(token, places)))

    def release(self, token: str, places: Sequence[Place]) -> None:
        """See `Outbox`."""
        with self._begun() as connection:
            free = {"claimed_by": "", "claimed_until_us": 0}
            connection.execute(self.table.update().where(self._held(token, places)).values(free))

    def close(self) -> None:
        """Nothing: the engine is the application's."""

    def _held(self, token: str, places: Sequence[Place]) -> sa.ColumnElement[bool]:
        return sa.and_(self.table.c.id.in_(places), self.table.c.claimed_by == token)

    def _lock(self, connection: sa.Connection) -> None:
        """SQLite locks no rows; a write that changes nothing takes its one lock before we look at them."""
        if connection.dialect.name == _SQLITE:
            connection.execute(self.table.update().where(self.table.c.id < 0).values(claimed_by=""))

    @contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection:
                if connection.dialect.name != _SQLITE:
                    # Each statement must see what others committed just before it, whatever the application wants.
                    connection.execution_options(isolation_level="READ COMMITTED")
                with connection.begin():
                    yield connection
        except SQLAlchemyError as exc:
            raise unavailable(self.where, exc) from exc


def unavailable(where: str, exc: SQLAlchemyError) -> OutboxUnavailableError:
    """The error to raise in place of SQLAlchemy's, without statements and values."""
    return OutboxUnavailableError(f"{where} cannot be used: {reason(exc)}")


def reason(exc: SQLAlchemyError) -> str:
    """What the driver says, in its first line: what follows may quote the row, and with it a payload."""
    cause = getattr(exc, "orig", None) or exc
    return mask((str(cause).splitlines() or [type(cause).__name__])[0])


def _within(limit: int, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The first rows that are within the limit together, one at least."""
    total = 0
    places: list[int] = []
    for place, size in sizes:
        total += size
        if places and total > limit:
            break
        places.append(place)
    return places


def _values(task: Enlisted) -> dict[str, object]:
    message = wire.encode(task.copy)
    return {
        "queue": message.queue,
        "kind": message.kind.value,
        "name": message.key,
        "copy_id": message.copy_id,
        "due_us": message.due_us,
        "meta": message.meta.encode(errors="surrogatepass"),
        "body": message.body,
        "large_key": None if task.large is None else task.large.key,
        "large_body": None if task.large is None else task.large.body,
    }


def _row(row: sa.Row[tuple[object, ...]]) -> OutboxRow:
    found = row._mapping  # noqa: SLF001  (SQLAlchemy's public name for it)
    message = Message(
        copy_id=found["copy_id"],
        kind=Kind(found["kind"]),
        queue=found["queue"],
        key=found["name"],
        due_us=found["due_us"],
        meta=bytes(found["meta"]).decode(errors="surrogatepass"),
        body=bytes(found["body"]),
    )
    large = None if found["large_key"] is None else LargePayload(found["large_key"], bytes(found["large_body"]))
    return OutboxRow(found["id"], message, large)
