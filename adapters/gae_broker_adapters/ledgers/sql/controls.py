"""Steering and reports of queues, one row each."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from gae_broker.ports import Control, Report
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.schema import QUEUES

_CONTROL = sa.select(
    QUEUES.c.paused,
    QUEUES.c.purged_us,
    QUEUES.c.epoch,
    QUEUES.c.executed_last_minute,
    QUEUES.c.in_flight,
    QUEUES.c.enforced_rate,
    QUEUES.c.reported_us,
    QUEUES.c.owner,
).where(QUEUES.c.queue == sa.bindparam("of_queue"))
_EPOCH = sa.select(QUEUES.c.epoch).where(QUEUES.c.queue == sa.bindparam("of_queue"))
_REPORT = (
    QUEUES.update()
    .where(QUEUES.c.queue == sa.bindparam("of_queue"), QUEUES.c.epoch == sa.bindparam("of_epoch"))
    .values({n: sa.bindparam(n) for n in ("executed_last_minute", "in_flight", "enforced_rate", "reported_us")})
)


def change(
    connection: sa.Connection,
    queue: str,
    changed: Mapping[str, object],
    first: Mapping[str, object],
) -> None:
    """Change a queue's row, or make its ``first`` one.

    Raises:
        sqlalchemy.exc.IntegrityError: another transaction made it meanwhile; to be done again from the start.
    """
    if not connection.execute(QUEUES.update().where(QUEUES.c.queue == queue).values(changed)).rowcount:
        connection.execute(QUEUES.insert().values(queue=queue, **first))


class SqlControls:
    """See `gae_broker.ports.Controls` for what each method promises."""

    _connections: Connections

    def control(self, queue: str) -> Control:
        """The queue's steering."""

        def work(connection: sa.Connection) -> Control:
            row = connection.execute(_CONTROL, {"of_queue": queue}).first()
            if row is None:
                return Control()
            paused, purged_us, epoch, executed, in_flight, rate, reported_us, owner = row
            report = None if reported_us is None else Report(executed, in_flight, rate, reported_us)
            return Control(paused, purged_us, epoch, report, owner or "")

        return self._connections.read(work)

    def set_paused(self, queue: str, paused: bool) -> None:
        """Pause or resume the queue."""
        self._connections.write(lambda c: change(c, queue, {"paused": paused}, {"paused": paused}))

    def take_ownership(self, queue: str, owner: str) -> int:
        """Record a new active dispatcher; its epoch."""

        def work(connection: sa.Connection) -> int:
            change(connection, queue, {"epoch": QUEUES.c.epoch + 1, "owner": owner}, {"epoch": 1, "owner": owner})
            return int(connection.execute(_EPOCH, {"of_queue": queue}).scalar_one())

        return self._connections.write(work)

    def report(self, queue: str, epoch: int, report: Report) -> bool:
        """Store a report if the epoch is the latest."""
        values = {
            "of_queue": queue,
            "of_epoch": epoch,
            "executed_last_minute": report.executed_last_minute,
            "in_flight": report.in_flight,
            "enforced_rate": report.enforced_rate,
            "reported_us": report.reported_us,
        }
        return self._connections.write(lambda c: c.execute(_REPORT, values).rowcount == 1)
