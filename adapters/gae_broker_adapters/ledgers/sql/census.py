"""What waits in a broker that cannot count it, as `gae_broker.ports.Census` wants it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from gae_broker.ports import Delayed
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.schema import DELAYED, QUEUES, TASKS, WAITING

_PURGES = sa.select(QUEUES.c.queue, QUEUES.c.purged_us).where(QUEUES.c.purged_us > 0)
# Both databases know this form of upsert, and its ``excluded``; CASE, as one calls the lesser of two MIN, one LEAST.
_ADD = sa.text(
    "INSERT INTO ledger_delayed (queue, until_us, width_us, tasks, first_us)"
    " VALUES (:queue, :until_us, :width_us, :tasks, :first_us)"
    " ON CONFLICT (queue, until_us, width_us) DO UPDATE SET tasks = ledger_delayed.tasks + excluded.tasks, first_us ="
    " CASE WHEN excluded.first_us < ledger_delayed.first_us THEN excluded.first_us ELSE ledger_delayed.first_us END"
)
_QUEUE: sa.BindParameter[str] = sa.bindparam("of_queue")
_NOW: sa.BindParameter[int] = sa.bindparam("now_us")
_ROWS = sa.select(sa.func.count()).where(WAITING, TASKS.c.queue == _QUEUE, TASKS.c.eta_us > _NOW)
_SMALLEST = sa.select(TASKS.c.eta_us).where(WAITING, TASKS.c.queue == _QUEUE).order_by(TASKS.c.eta_us).limit(1)
_LEFT = sa.case((DELAYED.c.until_us - _NOW < DELAYED.c.width_us, DELAYED.c.until_us - _NOW), else_=DELAYED.c.width_us)
_COUNTED = sa.select(
    # Those of a width that is under way are due one after the other. In floats, as the product may exceed 64 bits.
    sa.func.coalesce(sa.func.sum(DELAYED.c.tasks * (_LEFT * 1.0 / DELAYED.c.width_us)), 0),
    sa.func.min(sa.case((DELAYED.c.first_us > _NOW, DELAYED.c.first_us), else_=_NOW)),
).where(DELAYED.c.queue == _QUEUE, DELAYED.c.until_us > _NOW)


class SqlCensus:
    """See `gae_broker.ports.Census` for what each method promises."""

    _connections: Connections

    def count_delayed(self, added: Sequence[Delayed]) -> None:
        """Count tasks that have no row; what was added before a queue's purge is gone already."""

        def work(connection: sa.Connection) -> None:
            purges = {row.queue: row.purged_us for row in connection.execute(_PURGES)}
            rows = [
                {
                    "queue": entry.queue,
                    "until_us": entry.until_us,
                    "width_us": entry.width_us,
                    "tasks": entry.tasks,
                    "first_us": entry.first_us,
                }
                # In one order for all, so that two processes cannot wait for each other.
                for entry in sorted(added, key=lambda entry: (entry.queue, entry.until_us, entry.width_us))
                if entry.created_us > purges.get(entry.queue, 0)
            ]
            if rows:
                connection.execute(_ADD, rows)

        if added:
            self._connections.write(work)

    def waiting(self, queue: str, now_us: int) -> tuple[int, int | None]:
        """How many, and the smallest eta; counts index entries, so it takes longer the more there are."""
        values = {"of_queue": queue, "now_us": now_us}

        def work(connection: sa.Connection) -> tuple[int, int | None]:
            rows = connection.execute(_ROWS, values).scalar_one()
            smallest_us = connection.execute(_SMALLEST, {"of_queue": queue}).scalar()
            tasks, first_us = connection.execute(_COUNTED, values).one()
            return rows + round(tasks), min((us for us in (smallest_us, first_us) if us is not None), default=None)

        return self._connections.read(work)
