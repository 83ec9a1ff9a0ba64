"""Purging: every unfinished row of a queue up to a moment, in a few statements."""

from __future__ import annotations

import sqlalchemy as sa

from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.controls import change
from gae_broker_adapters.ledgers.sql.rules import SLACK_US
from gae_broker_adapters.ledgers.sql.schema import DELAYED, HELD, QUEUES, TASKS, WAITING

_DOOMED = (TASKS.c.queue == sa.bindparam("of_queue"), TASKS.c.created_us <= sa.bindparam("mark_us"))
# rules.delete for many rows at once: a held task without a name of its own leaves nothing.
_VANISH = TASKS.delete().where(*_DOOMED, HELD, TASKS.c.named.is_(sa.false()), TASKS.c.prior_keep_us == 0)
# One statement for each of the two indexes; what is held is never over.
_MARK, _MARK_HELD = (
    TASKS.update()
    .where(*_DOOMED, rows)
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
    for rows in (WAITING, HELD)
)
# A count cannot tell which of its tasks were added before the mark; what was added since is counted too low until due.
_FORGET = DELAYED.delete().where(DELAYED.c.queue == sa.bindparam("of_queue"))


class SqlPurge:
    """The part of `gae_broker.ports.Facts` that concerns a whole queue."""

    _connections: Connections

    def purge(self, queue: str, purged_us: int, now_us: int, until_us: int) -> int:
        """Delete what was created up to ``purged_us``, and set the queue's watermark, which never goes back."""
        doomed = {"of_queue": queue, "mark_us": purged_us}
        marked = doomed | {"at_us": now_us, "free_us": until_us, "least_keep_us": max(until_us, now_us + SLACK_US)}

        def work(connection: sa.Connection) -> int:
            self._connections.database.allow_long(connection)
            later = sa.case((QUEUES.c.purged_us > purged_us, QUEUES.c.purged_us), else_=purged_us)
            change(connection, queue, {"purged_us": later}, {"purged_us": purged_us})
            connection.execute(_FORGET, {"of_queue": queue})
            vanished = connection.execute(_VANISH, doomed).rowcount
            return vanished + sum(connection.execute(mark, marked).rowcount for mark in (_MARK, _MARK_HELD))

        return self._connections.write(work)
