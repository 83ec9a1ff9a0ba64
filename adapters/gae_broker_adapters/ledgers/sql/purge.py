"""Purging: every unfinished row of a queue up to a moment, in three statements."""

from __future__ import annotations

import sqlalchemy as sa

from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.controls import change
from gae_broker_adapters.ledgers.sql.rules import SLACK_US
from gae_broker_adapters.ledgers.sql.schema import HELD, QUEUES, TASKS, UNFINISHED

_DOOMED = (
    TASKS.c.queue == sa.bindparam("of_queue"),
    TASKS.c.created_us <= sa.bindparam("mark_us"),
    UNFINISHED,
)
# rules.delete for many rows at once: a held task without a name of its own leaves nothing.
_VANISH = TASKS.delete().where(*_DOOMED, HELD, TASKS.c.named.is_(sa.false()), TASKS.c.prior_keep_us == 0)
_MARK = (
    TASKS.update()
    .where(*_DOOMED)
    .values(
        state="deleted",
        changed_us=sa.bindparam("at_us"),
        until_us=sa.case((TASKS.c.named, sa.bindparam("free_us")), else_=0),
        keep_us=sa.case(
            (TASKS.c.keep_us > sa.bindparam("least_keep_us"), TASKS.c.keep_us),
            else_=sa.bindparam("least_keep_us"),
        ),
        kind=None,
        due_us=None,
        tag=None,
        meta=None,
        body=None,
    )
)


class SqlPurge:
    """The part of `gae_broker.ports.Facts` that concerns a whole queue."""

    _connections: Connections

    def purge(self, queue: str, purged_us: int, now_us: int, until_us: int) -> int:
        """Delete what was created up to ``purged_us``, and set the queue's watermark, which never goes back."""
        doomed = {"of_queue": queue, "mark_us": purged_us}
        marked = doomed | {"at_us": now_us, "free_us": until_us, "least_keep_us": max(until_us, now_us + SLACK_US)}

        def work(connection: sa.Connection) -> int:
            later = sa.case((QUEUES.c.purged_us > purged_us, QUEUES.c.purged_us), else_=purged_us)
            change(connection, queue, {"purged_us": later}, {"purged_us": purged_us})
            return connection.execute(_VANISH, doomed).rowcount + connection.execute(_MARK, marked).rowcount

        return self._connections.write(work)
