"""What the ledger contract's tests stand on: opened ledgers, and short ways to say what a test begins with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from typing import ClassVar, cast

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, ClaimOutcome, ClaimResult, Clock, Deletion, Fact, Ledger, Move
from gae_broker.testing.contracts.ledger_rival import Rival

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
NOW_US = 1_700_000_000 * SECOND_US
"""The time of a test's beginning: a ledger is told the time with each call."""

TAKEOVER_US = NOW_US - 30 * SECOND_US
UNTIL_US = NOW_US + 7 * DAY_US
EVER_US = NOW_US + 400 * DAY_US
"""So late that no row that may be pruned is kept."""

META = '{"v":1,"text":"ü"}'


class FixedClock:
    """Stands still."""

    def now_us(self) -> int:
        """The time of a test's beginning."""
        return NOW_US


def open_ledger(opener: str, url: str, clock: Clock) -> Ledger:
    """Open a ledger by an adapter's ``module:function``."""
    module, _, function = opener.partition(":")
    return cast("Ledger", getattr(import_module(module), function)(url, clock=clock))


class LedgerBench:
    """One test's ledger, and a queue that no other test knows."""

    def __init__(self, opener: str, url: str) -> None:
        self.opener = opener
        self.url = url
        self.queue = f"contract-{secrets.token_hex(5)}"
        self._ledgers: list[Ledger] = []
        self._rivals: list[Rival] = []
        self.ledger = self.open()
        self.ledger.migrate()

    def open(self) -> Ledger:
        """Another ledger object for the same url."""
        ledger = open_ledger(self.opener, self.url, FixedClock())
        self._ledgers.append(ledger)
        return ledger

    def start_rival(self, work: str) -> Rival:
        """Another process, ready to begin with ``work`` on this queue."""
        rival = Rival(self.opener, self.url, self.queue, work)
        self._rivals.append(rival)
        return rival

    def close(self) -> None:
        """Release everything that the test opened."""
        for rival in self._rivals:
            rival.kill()
        for ledger in self._ledgers:
            ledger.close()

    # ------------------------------------------------------------------------------------------ beginnings

    def message(self, name: str, copy_id: str, due_us: int = NOW_US, body: bytes = b"\x00\xffbody") -> Message:
        """A message as the engine would publish it."""
        return Message(copy_id, Kind.PULL, self.queue, name, due_us, META, body)

    def wish(
        self, name: str, copy_id: str, *, due_us: int = NOW_US, created_us: int = NOW_US, named: bool = True
    ) -> Claim:
        """A claim for a task that the broker will hold."""
        return Claim(self.message(name, copy_id, due_us), named, created_us)

    def claim(self, *claims: Claim, now_us: int = NOW_US, takeover_us: int = TAKEOVER_US) -> list[ClaimOutcome]:
        """Claim names."""
        return self.ledger.claim(self.queue, claims, now_us, takeover_us)

    def claimed(self, name: str, copy_id: str, *, due_us: int = NOW_US, now_us: int = NOW_US) -> None:
        """Begin with a granted claim."""
        (outcome,) = self.claim(self.wish(name, copy_id, due_us=due_us), now_us=now_us)
        assert outcome.result is ClaimResult.GRANTED

    def live(self, name: str, copy_id: str, *, due_us: int = NOW_US, created_us: int = NOW_US) -> None:
        """Begin with a confirmed named task."""
        (outcome,) = self.claim(self.wish(name, copy_id, due_us=due_us, created_us=created_us))
        assert outcome.result is ClaimResult.GRANTED
        self.ledger.confirm(self.queue, [(name, copy_id)], NOW_US)

    def moved(self, name: str, copy_id: str, *, due_us: int = NOW_US, created_us: int = NOW_US) -> None:
        """Begin with an unnamed task that was retried or leased once."""
        assert self.advance(name, "original", copy_id, eta_us=due_us, named=False, created_us=created_us)

    def held(
        self,
        name: str,
        tag: str = "tag",
        *,
        due_us: int = NOW_US - 1,
        named: bool = False,
        created_us: int = NOW_US,
    ) -> Message:
        """Begin with a task that the ledger holds; its message."""
        message = self.message(name, f"copy-of-{name}", due_us)
        (outcome,) = self.claim(Claim(message, named, created_us, tag))
        assert outcome.result is ClaimResult.GRANTED
        return message

    # ------------------------------------------------------------------------------------------ single calls

    def fact(self, name: str) -> Fact | None:
        """The row there is."""
        return self.ledger.facts(self.queue, [name]).get(name)

    def the_fact(self, name: str) -> Fact:
        """The row, which must be there."""
        fact = self.fact(name)
        assert fact is not None, name
        return fact

    def advance(
        self,
        name: str,
        old_copy: str,
        new_copy: str,
        *,
        eta_us: int = NOW_US,
        leases: int = 1,
        named: bool = True,
        created_us: int = NOW_US,
        expected_eta_us: int | None = None,
    ) -> bool:
        """One move."""
        move = Move(name, old_copy, new_copy, eta_us, leases, named, created_us, expected_eta_us)
        (swapped,) = self.ledger.advance(self.queue, [move], NOW_US)
        return swapped

    def delete(self, *names: str, make: bool = False, now_us: int = NOW_US, until_us: int = UNTIL_US) -> list[Deletion]:
        """Delete tasks."""
        return self.ledger.delete(self.queue, names, now_us, until_us, make)

    def prune(self, now_us: int) -> None:
        """Remove all that may go."""
        while self.ledger.prune(now_us, 1000):
            pass


class LedgerAdoption:
    """What an adapter says of itself when it adopts the contract.

    Attributes:
        opener: ``module:function`` that opens the adapter, with ``(url, *, clock)``.
        shares_processes: whether two objects opened with one url share their rows.
    """

    opener: ClassVar[str]
    shares_processes: ClassVar[bool] = True

    @pytest.fixture
    def ledger_url(self) -> str:
        """Where the ledger is; the adapter overrides it. What lies there is pruned."""
        raise NotImplementedError

    @pytest.fixture
    def obstruction(self) -> Callable[[], AbstractContextManager[object]]:
        """A context in which the ledger cannot be written; the adapter overrides it where it can be had."""
        pytest.skip("this adapter has no obstruction to offer")

    @pytest.fixture
    def bench(self, ledger_url: str) -> Iterator[LedgerBench]:
        """An opened ledger, closed after the test."""
        bench = LedgerBench(self.opener, ledger_url)
        yield bench
        bench.close()

    @pytest.fixture
    def shared(self, bench: LedgerBench) -> LedgerBench:
        """The bench, where several objects and processes can share it."""
        if not self.shares_processes:
            pytest.skip("each object of this adapter has rows of its own")
        return bench
