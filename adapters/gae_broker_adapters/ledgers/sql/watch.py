"""How far queues were read, when nobody kept watch, and which rows may go by that: `gae_broker.ports.Watch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import sqlalchemy as sa

from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.controls import change
from gae_broker_adapters.ledgers.sql.rows import remove
from gae_broker_adapters.ledgers.sql.schema import DELAYED, OVER, QUEUES, TASKS, WATCHES

_S = 1_000_000
_DAY_US = 86_400 * _S
FORGOTTEN_US = 90 * _DAY_US
"""Rows of a queue that nobody reads are kept this long after their copies were due."""

_MOMENT_US = 60 * _S
_LONGEST_WAIT_US = 45 * _DAY_US
"""A copy waits 37 days at most, and a late one a little longer: what was before cannot delay any."""

_SEEN = sa.select(QUEUES.c.seen_us).where(QUEUES.c.queue == sa.bindparam("of_queue"))
_WATCHES = (
    sa.select(WATCHES.c.began_us, WATCHES.c.last_us)
    .where(WATCHES.c.began_us <= sa.bindparam("at_us"))
    .order_by(WATCHES.c.began_us)
)
_LATEST = (
    sa.select(WATCHES.c.began_us, WATCHES.c.last_us)
    .where(WATCHES.c.began_us <= sa.bindparam("at_us"))
    .order_by(WATCHES.c.began_us.desc())
    .limit(1)
)
# All but one that lies before every wait, and the first of all: since when there are rows.
_OLD_WATCHES = WATCHES.delete().where(
    WATCHES.c.last_us <= sa.bindparam("before_us"),
    WATCHES.c.began_us > sa.select(sa.func.min(WATCHES.c.began_us)).scalar_subquery(),
)
_NEXT_QUEUE = (
    sa.select(TASKS.c.queue).where(OVER, TASKS.c.queue > sa.bindparam("behind")).order_by(TASKS.c.queue).limit(1)
)
_NEEDLESS = (
    sa.select(TASKS.c.queue, TASKS.c.name)
    .where(OVER, TASKS.c.queue == sa.bindparam("of_queue"), TASKS.c.keep_us <= sa.bindparam("at_us"))
    .order_by(TASKS.c.keep_us)
    .limit(sa.bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_PAST = DELAYED.delete().where(DELAYED.c.until_us <= sa.bindparam("now_us"))


class SqlWatch:
    """See `gae_broker.ports.Watch` and `gae_broker.ports.Facts.prune` for what each method promises."""

    _connections: Connections

    def seen(self, queues: Mapping[str, int]) -> None:
        """Note how far queues were read."""

        def work(connection: sa.Connection) -> None:
            for queue, seen_us in sorted(queues.items()):
                later = sa.case((QUEUES.c.seen_us > seen_us, QUEUES.c.seen_us), else_=seen_us)
                change(connection, queue, {"seen_us": later}, {"seen_us": seen_us})

        if queues:
            self._connections.write(work)

    def seen_us(self, queue: str) -> int:
        """How far a queue was read."""
        return int(self._connections.read(lambda c: c.execute(_SEEN, {"of_queue": queue}).scalar()) or 0)

    def alive(self, now_us: int) -> None:
        """Go on with the present watch, or begin another one after a pause."""

        def work(connection: sa.Connection) -> None:
            latest = connection.execute(_LATEST, {"at_us": now_us}).first()
            if latest is not None and latest.last_us >= now_us:
                return
            if latest is not None and now_us - latest.last_us <= _MOMENT_US:
                here = WATCHES.c.began_us == latest.began_us
                connection.execute(WATCHES.update().where(here).values(last_us=now_us))
                return
            connection.execute(_OLD_WATCHES, {"before_us": now_us - 2 * _LONGEST_WAIT_US})
            connection.execute(WATCHES.insert().values(began_us=now_us, last_us=now_us))

        self._connections.write(work)

    def prune(self, now_us: int, limit: int) -> int:
        """Remove rows that suppress nothing any more, and counts of what is due."""

        def work(connection: sa.Connection) -> int:
            connection.execute(_PAST, {"now_us": now_us})
            late_us = _unwatched(connection, now_us)
            removed = 0
            for queue in _queues_with_rows_over(connection):
                seen_us = connection.execute(_SEEN, {"of_queue": queue}).scalar() or 0
                at_us = max(min(now_us, seen_us) - late_us, now_us - FORGOTTEN_US)
                # As a subquery of the delete, PostgreSQL may run it more than once and so exceed the limit.
                wanted = {"of_queue": queue, "at_us": at_us, "at_most": limit - removed}
                found = connection.execute(_NEEDLESS, wanted).all()
                remove(connection, ((queue, name) for queue, name in found))
                removed += len(found)
                if removed == limit:
                    break
            return removed

        return self._connections.write(work)


def _queues_with_rows_over(connection: sa.Connection) -> Iterator[str]:
    """One look into the index for each, however many rows they have."""
    queue: str | None = ""
    while (queue := connection.execute(_NEXT_QUEUE, {"behind": queue}).scalar()) is not None:
        yield queue


def _unwatched(connection: sa.Connection, now_us: int) -> int:
    """For how long nobody kept watch, in all the time that a copy of now may have waited."""
    since_us = now_us - _LONGEST_WAIT_US
    watches = [tuple(row) for row in connection.execute(_WATCHES, {"at_us": now_us})]
    if not watches:
        return _LONGEST_WAIT_US
    pauses = ((last_us, began_us) for (_, last_us), (began_us, _) in pairwise([*watches, (now_us, now_us)]))
    return sum(max(until_us - max(from_us, since_us), 0) for from_us, until_us in pauses)
