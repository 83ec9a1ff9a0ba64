"""Facts about tasks, as `gae_broker.ports.Facts` wants them: each call one transaction, decided by rules.py."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from gae_broker.ports import Claim, ClaimOutcome, Deletion, Fact, Move
from gae_broker_adapters.ledgers.sql import rules
from gae_broker_adapters.ledgers.sql.among import among
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.rows import MESSAGE, STATES, Batch, message
from gae_broker_adapters.ledgers.sql.schema import CLAIMED, HELD, OVER, TASKS

_FACTS = sa.select(
    TASKS.c.name,
    TASKS.c.state,
    TASKS.c.live_copy,
    TASKS.c.eta_us,
    TASKS.c.leases,
    TASKS.c.until_us,
    TASKS.c.changed_us,
    sa.type_coerce(HELD, sa.Integer).label("held"),
).where(TASKS.c.queue == sa.bindparam("queue"), among(TASKS.c.name, "names"))

_STALE_CLAIMS = (
    sa.select(TASKS.c.named, TASKS.c.created_us, *MESSAGE)
    .where(CLAIMED, TASKS.c.changed_us < sa.bindparam("before_us"))
    .order_by(TASKS.c.changed_us)
    .limit(sa.bindparam("at_most"))
)

_NEEDLESS = (
    sa.select(TASKS.c.queue, TASKS.c.name)
    .where(OVER, TASKS.c.keep_us <= sa.bindparam("now_us"))
    .order_by(TASKS.c.keep_us)
    .limit(sa.bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_PRUNE = TASKS.delete().where(sa.tuple_(TASKS.c.queue, TASKS.c.name).in_(_NEEDLESS))


_FREE_ALL = (
    TASKS.update().where(TASKS.c.queue == sa.bindparam("of_queue"), OVER, TASKS.c.until_us > 0).values(until_us=0)
)
_FREE = _FREE_ALL.where(among(TASKS.c.name, "names"))


class SqlFacts:
    """See `gae_broker.ports.Facts` for what each method promises."""

    _connections: Connections

    def claim(self, queue: str, claims: Sequence[Claim], now_us: int, takeover_us: int) -> list[ClaimOutcome]:
        """Reserve names, each for itself."""
        names = [claim.message.key for claim in claims]

        def work(connection: sa.Connection) -> list[ClaimOutcome]:
            batch = Batch(connection, queue, names)
            outcomes = []
            for name, claim in zip(names, claims, strict=True):
                outcome, row = rules.claim(batch.get(name), claim, now_us, takeover_us)
                if row is not None:
                    batch.put(name, row, claim)
                outcomes.append(outcome)
            batch.write()
            return outcomes

        return self._connections.write(work) if claims else []

    def confirm(self, queue: str, copies: Sequence[tuple[str, str]], now_us: int) -> None:
        """Turn claims into live rows."""

        def work(connection: sa.Connection) -> None:
            batch = Batch(connection, queue, [name for name, _ in copies])
            for name, copy_id in copies:
                row = rules.confirm(batch.get(name), copy_id, now_us)
                if row is not None:
                    batch.put(name, row)
            batch.write()

        if copies:
            self._connections.write(work)

    def release(self, queue: str, copies: Sequence[tuple[str, str]]) -> None:
        """Give up claims."""

        def work(connection: sa.Connection) -> None:
            batch = Batch(connection, queue, [name for name, _ in copies])
            for name, copy_id in copies:
                row = batch.get(name)
                if row is not None and rules.may_release(row, copy_id):
                    batch.put(name, rules.vacate(row))
            batch.write()

        if copies:
            self._connections.write(work)

    def stale_claims(self, before_us: int, limit: int) -> list[Claim]:
        """Old claims, oldest first."""

        def work(connection: sa.Connection) -> list[Claim]:
            found = connection.execute(_STALE_CLAIMS, {"before_us": before_us, "at_most": limit})
            return [Claim(message(*columns), bool(named), created_us) for named, created_us, *columns in found]

        return self._connections.read(work)

    def facts(self, queue: str, names: Sequence[str]) -> dict[str, Fact]:
        """The rows there are, in one query."""

        def work(connection: sa.Connection) -> dict[str, Fact]:
            found = connection.execute(_FACTS, {"queue": queue, "names": names})
            return {
                name: Fact(STATES[state], None if held else copy_id, eta_us, leases, until_us, changed_us, bool(held))
                for name, state, copy_id, eta_us, leases, until_us, changed_us, held in found
            }

        return self._connections.read(work) if names else {}

    def advance(self, queue: str, moves: Sequence[Move], now_us: int) -> list[bool]:
        """Swap live copies, each for itself."""

        def work(connection: sa.Connection) -> list[bool]:
            batch = Batch(connection, queue, [move.name for move in moves])
            swapped = []
            for move in moves:
                row = rules.advance(batch.get(move.name), move, now_us)
                if row is not None:
                    batch.put(move.name, row)
                swapped.append(row is not None)
            batch.write()
            return swapped

        return self._connections.write(work) if moves else []

    def finish(self, queue: str, copies: Sequence[tuple[str, str]], now_us: int, until_us: int) -> None:
        """Mark tasks done."""

        def work(connection: sa.Connection) -> None:
            batch = Batch(connection, queue, [name for name, _ in copies])
            for name, copy_id in copies:
                row = rules.finish(batch.get(name), copy_id, now_us, until_us)
                if row is not None:
                    batch.put(name, row)
            batch.write()

        if copies:
            self._connections.write(work)

    def delete(self, queue: str, names: Sequence[str], now_us: int, until_us: int, make: bool) -> list[Deletion]:
        """Mark tasks deleted."""

        def work(connection: sa.Connection) -> list[Deletion]:
            batch = Batch(connection, queue, names)
            outcomes = []
            for name in names:
                outcome, row = rules.delete(batch.get(name), now_us, until_us, make=make)
                batch.put(name, row)
                outcomes.append(outcome)
            batch.write()
            return outcomes

        return self._connections.write(work) if names else []

    def free(self, queue: str, names: Sequence[str] | None) -> int:
        """Lift tombstones."""

        def work(connection: sa.Connection) -> int:
            if names is None:
                return connection.execute(_FREE_ALL, {"of_queue": queue}).rowcount
            return connection.execute(_FREE, {"of_queue": queue, "names": names}).rowcount

        return self._connections.write(work)

    def prune(self, now_us: int, limit: int) -> int:
        """Remove rows that suppress nothing any more."""

        def work(connection: sa.Connection) -> int:
            return connection.execute(_PRUNE, {"now_us": now_us, "at_most": limit}).rowcount

        return self._connections.write(work)
