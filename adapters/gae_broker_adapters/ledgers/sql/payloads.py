"""Payloads too large for a task, by key."""

from __future__ import annotations

import sqlalchemy as sa

from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.schema import PAYLOADS


class SqlPayloads:
    """See `gae_broker.ports.Payloads` for what each method promises."""

    _connections: Connections

    def put_payload(self, key: str, body: bytes, now_us: int) -> None:
        """Store durably, in place of what the key had."""
        values = {"stored_us": now_us, "body": body}

        def work(connection: sa.Connection) -> None:
            if not connection.execute(PAYLOADS.update().where(PAYLOADS.c.key == key).values(values)).rowcount:
                connection.execute(PAYLOADS.insert().values(key=key, **values))

        self._connections.write(work)

    def get_payload(self, key: str) -> bytes | None:
        """The payload."""
        wanted = sa.select(PAYLOADS.c.body).where(PAYLOADS.c.key == key)
        body = self._connections.read(lambda connection: connection.execute(wanted).scalar())
        return None if body is None else bytes(body)

    def delete_payload(self, key: str) -> None:
        """Forget it."""
        self._connections.write(lambda connection: connection.execute(PAYLOADS.delete().where(PAYLOADS.c.key == key)))
