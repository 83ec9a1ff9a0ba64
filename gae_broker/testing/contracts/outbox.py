"""The outbox contract: every obligation of `gae_broker.ports.Outbox`, as tests that an adapter adopts.

An adapter's test module says how tasks are committed and what is then opened::

    class TestMyOutbox(OutboxContract):
        @pytest.fixture
        def box(self) -> Box:
            return Box(outbox=MyOutbox(...), commit=..., rollback=...)

Each test has queues of its own, so the tests may share a database.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from gae_broker.domain import wire
from gae_broker.domain.task import PULL, Content, Copy, LargePayload
from gae_broker.engine.transactions import Enlisted
from gae_broker.ports import ClaimedRows, Outbox, OutboxRow, RowClaim

NOW_US = 1_700_000_000_000_000
HOLD_US = 30_000_000
_ROUNDS = 40
_RELAYS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """What is tested, and how tasks get into it.

    Attributes:
        outbox: the adapter's.
        commit: writes tasks in one transaction, in order, and commits it.
        rollback: the same, but rolls it back.
    """

    outbox: Outbox
    commit: Callable[[Sequence[Enlisted]], None]
    rollback: Callable[[Sequence[Enlisted]], None]


def task(queue: str, payload: bytes = b"", **content: object) -> Enlisted:
    """A task as a transaction takes it."""
    name = secrets.token_hex(6)
    made = Content(name, **{"method": PULL, "payload": payload, **content})  # type: ignore[arg-type]
    return Enlisted(Copy(f"copy-{name}", queue, made, NOW_US))


def claim_of(token: str, now_us: int = NOW_US, **limits: int) -> RowClaim:
    """A claim that holds for half a minute."""
    return RowClaim(token, now_us, now_us + HOLD_US, **limits)


def names(rows: Sequence[OutboxRow]) -> list[str]:
    """The tasks' names."""
    return [row.message.key for row in rows]


class OutboxContract:
    """All of them."""

    @pytest.fixture
    def queue(self) -> str:
        """A queue of the test's own."""
        return f"q-{secrets.token_hex(6)}"

    def test_what_is_committed_comes_out_as_it_went_in(self, box: Box, queue: str) -> None:
        assert queue not in box.outbox.queues()
        odd = task(queue, bytes(range(256)), tag="\udcff\x00 tag")
        push = task(queue, b"", method="POST", url="/work?a=b", headers=(("X-A", "\u00e9"),), named=False)
        large = Enlisted(task(queue).copy, LargePayload("key", secrets.token_bytes(3_000_000)))
        tasks = [odd, push, large]
        box.commit(tasks)
        assert queue in box.outbox.queues()
        rows = box.outbox.claim(queue, claim_of("me")).rows
        assert [wire.decode(row.message) for row in rows] == [item.copy for item in tasks]
        assert [row.large for row in rows] == [item.large for item in tasks]

    def test_what_is_rolled_back_was_never_there(self, box: Box, queue: str) -> None:
        box.rollback([task(queue)])
        assert queue not in box.outbox.queues()
        assert box.outbox.claim(queue, claim_of("me")) == ClaimedRows()

    def test_rows_come_in_the_order_of_adding(self, box: Box, queue: str) -> None:
        tasks = [task(queue) for _ in range(12)]
        for start in range(0, 12, 4):
            box.commit(tasks[start : start + 4])
        rows = box.outbox.claim(queue, claim_of("me", rows=5)).rows
        assert names(rows) == [item.copy.name for item in tasks[:5]]
        box.outbox.forget("me", [row.place for row in rows])
        assert names(box.outbox.claim(queue, claim_of("again")).rows) == [item.copy.name for item in tasks[5:]]

    def test_a_claim_takes_no_more_than_it_may_hold_but_one_row_always(self, box: Box, queue: str) -> None:
        tasks = [task(queue, bytes(1000)), task(queue, bytes(1000)), task(queue, bytes(5000))]
        box.commit(tasks)
        for size, count in ((2500, 2), (10, 1)):
            rows = box.outbox.claim(queue, claim_of("me", size=size)).rows
            assert len(rows) == count
            box.outbox.forget("me", [row.place for row in rows])
        assert box.outbox.claim(queue, claim_of("me")) == ClaimedRows()

    def test_nobody_overtakes_a_claim(self, box: Box, queue: str) -> None:
        box.commit([task(queue), task(queue), task(queue)])
        assert len(box.outbox.claim(queue, claim_of("first", rows=2)).rows) == 2
        box.commit([task(queue)])
        for late_us in (0, HOLD_US - 1):
            assert box.outbox.claim(queue, claim_of("second", NOW_US + late_us)) == ClaimedRows(held=True)

    def test_claims_of_other_queues_do_not_matter(self, box: Box, queue: str) -> None:
        other = f"{queue}-other"
        box.commit([task(queue), task(other)])
        assert box.outbox.claim(queue, claim_of("first")).rows
        assert box.outbox.claim(other, claim_of("second")).rows

    def test_a_claim_that_has_run_out_is_void(self, box: Box, queue: str) -> None:
        box.commit([task(queue), task(queue)])
        rows = box.outbox.claim(queue, claim_of("dead")).rows
        places = [row.place for row in rows]
        again = box.outbox.claim(queue, claim_of("heir", NOW_US + HOLD_US)).rows
        assert names(again) == names(rows)
        box.outbox.forget("dead", places)
        box.outbox.release("dead", places)
        assert box.outbox.claim(queue, claim_of("third", NOW_US + HOLD_US)) == ClaimedRows(held=True)
        box.outbox.forget("heir", places)
        assert queue not in box.outbox.queues()

    def test_what_is_released_can_be_claimed_at_once(self, box: Box, queue: str) -> None:
        box.commit([task(queue), task(queue)])
        rows = box.outbox.claim(queue, claim_of("first")).rows
        box.outbox.release("first", [rows[0].place])
        box.outbox.forget("first", [rows[1].place])
        assert names(box.outbox.claim(queue, claim_of("second")).rows) == names(rows[:1])

    def test_waiting_counts_what_is_there(self, box: Box, queue: str) -> None:
        before = box.outbox.waiting()
        box.commit([task(queue), task(queue)])
        after = box.outbox.waiting()
        assert after.tasks == before.tasks + 2
        assert after.since_us is not None

    def test_of_rival_relays_each_gets_rows_of_its_own_and_in_order(self, box: Box, queue: str) -> None:
        tasks = [task(queue) for _ in range(_ROUNDS * 2)]
        box.commit(tasks)
        taken: list[str] = []
        failures: list[BaseException] = []

        def relay(number: int) -> None:
            try:
                while len(taken) < len(tasks) and not failures:
                    claimed = box.outbox.claim(queue, claim_of(f"relay-{number}", rows=3))
                    taken.extend(names(claimed.rows))  # before they are forgotten, so nobody can be ahead
                    if claimed.rows:
                        box.outbox.forget(f"relay-{number}", [row.place for row in claimed.rows])
            except BaseException as exc:  # noqa: BLE001  (told by the test's thread)
                failures.append(exc)

        threads = [threading.Thread(target=relay, args=(number,)) for number in range(_RELAYS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert taken == [item.copy.name for item in tasks]
