"""Messages of tasks that wait where nobody can look them up, as `gae_broker.ports.Parked` wants them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from gae_broker.domain.message import Message
from gae_broker_adapters.ledgers.sql.among import among
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.rows import MESSAGE, message
from gae_broker_adapters.ledgers.sql.schema import TASKS, WAITING

_KEPT = (WAITING, TASKS.c.state == "live", TASKS.c.meta.is_not(None), TASKS.c.queue == sa.bindparam("of_queue"))
_ORDER = (TASKS.c.eta_us, TASKS.c.name)
_LIST = sa.select(*MESSAGE).where(*_KEPT).order_by(*_ORDER).limit(sa.bindparam("at_most"))
_LIST_AFTER = _LIST.where(sa.tuple_(*_ORDER) > sa.tuple_(sa.bindparam("after_eta_us"), sa.bindparam("after_name")))
_FIND = sa.select(*MESSAGE).where(
    TASKS.c.queue == sa.bindparam("of_queue"),
    among(TASKS.c.name, "names"),
    TASKS.c.state == "live",
    TASKS.c.tag.is_(None),
    TASKS.c.meta.is_not(None),
)


class SqlParked:
    """See `gae_broker.ports.Parked` for what each method promises."""

    _connections: Connections

    def parked(self, queue: str, names: Sequence[str]) -> dict[str, Message]:
        """The kept messages of these tasks."""
        values = {"of_queue": queue, "names": names}

        def work(connection: sa.Connection) -> dict[str, Message]:
            found = [message(*columns) for columns in connection.execute(_FIND, values)]
            return {one.key: one for one in found}

        return self._connections.read(work) if names else {}

    def list_parked(self, queue: str, limit: int, after: tuple[int, str] | None) -> list[Message]:
        """Kept messages in order; goes through all rows of the queue's live tasks where few have one."""
        values: dict[str, object] = {"of_queue": queue, "at_most": limit}
        statement = _LIST
        if after is not None:
            values |= {"after_eta_us": after[0], "after_name": after[1]}
            statement = _LIST_AFTER
        return self._connections.read(lambda c: [message(*columns) for columns in c.execute(statement, values)])
