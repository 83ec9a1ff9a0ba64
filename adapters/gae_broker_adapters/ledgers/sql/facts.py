"""Facts about tasks, as `gae_broker.ports.Facts` wants them: each call one transaction, decided by rules.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from gae_broker.ports import Claim, ClaimOutcome, Deletion, Fact, Move
from gae_broker_adapters.ledgers.sql import rules
from gae_broker_adapters.ledgers.sql.among import among
from gae_broker_adapters.ledgers.sql.connections import Connections
from gae_broker_adapters.ledgers.sql.rows import MESSAGE, STATES, Batch, message
from gae_broker_adapters.ledgers.sql.schema import CLAIMED, HELD, OVER, TASKS

_Answer = TypeVar("_Answer")

_FACTS = sa.select(
    TASKS.c.name,
    TASKS.c.state,
    TASKS.c.live_copy,
    TASKS.c.eta_us,
    TASKS.c.leases,
    TASKS.c.until_us,
    TASKS.c.changed_us,
    HELD.label("held"),
).where(TASKS.c.queue == sa.bindparam("queue"), among(TASKS.c.name, "names"))

_STALE_CLAIMS = (
    sa.select(TASKS.c.named, TASKS.c.created_us, *MESSAGE)
    .where(CLAIMED, TASKS.c.changed_us < sa.bindparam("before_us"))
    .order_by(TASKS.c.changed_us)
    .limit(sa.bindparam("at_most"))
)

_FREE_ALL = (
    TASKS.update().where(TASKS.c.queue == sa.bindparam("of_queue"), OVER, TASKS.c.until_us > 0).values(until_us=0)
)
_FREE = _FREE_ALL.where(among(TASKS.c.name, "names"))


class SqlFacts:
    """See `gae_broker.ports.Facts` for what each method promises."""

    _connections: Connections

    def claim(self, queue: str, claims: Sequence[Claim], now_us: int, takeover_us: int) -> list[ClaimOutcome]:
        """Reserve names, each for itself."""

        def step(batch: Batch, name: str, place: int) -> ClaimOutcome:
            outcome, row = rules.claim(batch.get(name), claims[place], now_us, takeover_us)
            if row is not None:
                batch.put(name, row, claims[place].message, claims[place].tag)
            return outcome

        return self._each(queue, [claim.message.key for claim in claims], step)

    def confirm(
        self, queue: str, copies: Sequence[tuple[str, str]], now_us: int, keep_after_us: int | None = None
    ) -> None:
        """Turn claims into live rows."""

        def step(batch: Batch, name: str, place: int) -> None:
            row = rules.confirm(batch.get(name), copies[place][1], now_us)
            if row is None:
                return
            if keep_after_us is not None and row.eta_us > keep_after_us:
                batch.keep(name, row)
            else:
                batch.put(name, row)

        self._each(queue, [name for name, _ in copies], step)

    def release(self, queue: str, copies: Sequence[tuple[str, str]]) -> None:
        """Give up claims."""

        def step(batch: Batch, name: str, place: int) -> None:
            row = batch.get(name)
            if row is not None and rules.may_release(row, copies[place][1]):
                batch.put(name, rules.vacate(row))

        self._each(queue, [name for name, _ in copies], step)

    def stale_claims(self, before_us: int, limit: int) -> list[Claim]:
        """Old claims, oldest first."""

        def work(connection: sa.Connection) -> list[Claim]:
            found = connection.execute(_STALE_CLAIMS, {"before_us": before_us, "at_most": limit})
            return [Claim(message(*columns), named, created_us) for named, created_us, *columns in found]

        return self._connections.read(work)

    def facts(self, queue: str, names: Sequence[str]) -> dict[str, Fact]:
        """The rows there are, in one query."""

        def work(connection: sa.Connection) -> dict[str, Fact]:
            found = connection.execute(_FACTS, {"queue": queue, "names": names})
            return {
                name: Fact(STATES[state], None if held else copy_id, eta_us, leases, until_us, changed_us, held)
                for name, state, copy_id, eta_us, leases, until_us, changed_us, held in found
            }

        return self._connections.read(work) if names else {}

    def advance(self, queue: str, moves: Sequence[Move], now_us: int) -> list[bool]:
        """Swap live copies, each for itself."""

        def step(batch: Batch, name: str, place: int) -> bool:
            row = rules.advance(batch.get(name), moves[place], now_us)
            if row is not None:
                batch.put(name, row, moves[place].message)
            return row is not None

        return self._each(queue, [move.name for move in moves], step)

    def finish(self, queue: str, copies: Sequence[tuple[str, str]], now_us: int, until_us: int) -> None:
        """Mark tasks done."""

        def step(batch: Batch, name: str, place: int) -> None:
            row = rules.finish(batch.get(name), copies[place][1], now_us, until_us)
            if row is not None:
                batch.put(name, row)

        self._each(queue, [name for name, _ in copies], step)

    def delete(self, queue: str, names: Sequence[str], now_us: int, until_us: int, make: bool) -> list[Deletion]:
        """Mark tasks deleted."""

        def step(batch: Batch, name: str, _: int) -> Deletion:
            outcome, row = rules.delete(batch.get(name), now_us, until_us, make=make)
            batch.put(name, row)
            return outcome

        return self._each(queue, names, step)

    def free(self, queue: str, names: Sequence[str] | None) -> int:
        """Lift tombstones."""

        def work(connection: sa.Connection) -> int:
            if names is None:
                return connection.execute(_FREE_ALL, {"of_queue": queue}).rowcount
            return connection.execute(_FREE, {"of_queue": queue, "names": names}).rowcount

        return self._connections.write(work)

    def _each(self, queue: str, names: Sequence[str], step: Callable[[Batch, str, int], _Answer]) -> list[_Answer]:
        """Decide on each name in turn, in one transaction; a name that comes twice meets what it was made before."""

        def work(connection: sa.Connection) -> list[_Answer]:
            batch = Batch(connection, queue, names)
            answers = [step(batch, name, place) for place, name in enumerate(names)]
            batch.write()
            return answers

        return self._connections.write(work) if names else []
