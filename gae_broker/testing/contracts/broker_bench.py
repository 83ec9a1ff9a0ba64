"""What the broker contract's tests stand on: opening brokers, making messages, waiting for what will happen."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from typing import ClassVar, TypeVar, cast

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Broker, Clock, Delivery
from gae_broker.testing.contracts.other_process import OtherProcess

DEADLINE_S = 10.0
PATIENCE_S = 20.0
"""How long a test waits for what must happen; the slowest obligation is a takeover within 15 seconds."""

_Answer = TypeVar("_Answer")
_POLL_S = 0.01
_QUIET_S = 0.3  # how long a test watches that something does not happen


class RealClock:
    """The host's clock: a broker server has no other."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


def open_broker(opener: str, url: str, clock: Clock) -> Broker:
    """Open a broker by an adapter's ``module:function``."""
    module, _, function = opener.partition(":")
    return cast("Broker", getattr(import_module(module), function)(url, clock=clock))


def eventually(answer: Callable[[], _Answer], what: str) -> _Answer:
    """The first true answer; fails the test where none comes for `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := answer()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S:.0f} s in vain for {what}; last answer: {found!r}")
        time.sleep(_POLL_S)
    return found


def never(answer: Callable[[], object], what: str) -> None:
    """Watch for a moment that no answer is true."""
    deadline = time.monotonic() + _QUIET_S
    while time.monotonic() < deadline:
        found = answer()
        assert not found, f"{what}: {found!r}"
        time.sleep(_POLL_S)


class Bench:
    """One test's brokers, and queues that no other test knows."""

    def __init__(self, opener: str, url: str) -> None:
        self.opener = opener
        self.url = url
        self.clock = RealClock()
        run = secrets.token_hex(5)
        self.push = f"contract-{run}-push"
        self.pull = f"contract-{run}-pull"
        self._brokers: list[Broker] = []
        self._processes: list[OtherProcess] = []
        self._numbers = itertools.count()
        self.broker = self.open()
        self.broker.declare(self.queues)

    @property
    def queues(self) -> list[Queue]:
        """A push and a pull queue."""
        return [Queue(self.push), Queue(self.pull, mode=Mode.PULL)]

    def open(self) -> Broker:
        """Another broker object for the same url."""
        broker = open_broker(self.opener, self.url, self.clock)
        self._brokers.append(broker)
        return broker

    def start_process(self) -> OtherProcess:
        """Another process that uses the same broker."""
        process = OtherProcess(self.opener, self.url)
        self._processes.append(process)
        return process

    def message(self, kind: Kind = Kind.PULL, *, after_s: float = 0.0, body: bytes = b"body") -> Message:
        """A new message, due ``after_s`` from now; each is due a little later than the one before."""
        number = next(self._numbers)
        queue = self.pull if kind is Kind.PULL else self.push
        due_us = self.clock.now_us() + round(after_s * 1_000_000)
        return Message(secrets.token_hex(16), kind, queue, f"task-{number:06}", due_us, '{"meta":"ü"}', body)

    def stored(self, count: int, kind: Kind = Kind.PULL, *, after_s: float = 0.0) -> list[Message]:
        """New messages that the broker has confirmed."""
        messages = [self.message(kind, after_s=after_s) for _ in range(count)]
        assert self.broker.publish(messages, DEADLINE_S) == [None] * count
        return messages

    def take(self, count: int, broker: Broker | None = None) -> list[Delivery]:
        """Exactly so many deliveries from the pull queue, as soon as there are so many."""
        taken: list[Delivery] = []

        def take_more() -> bool:
            taken.extend((broker or self.broker).get(Kind.PULL, self.pull, count - len(taken)))
            return len(taken) >= count

        eventually(take_more, f"{count} messages to get")
        return taken

    def is_empty(self, broker: Broker | None = None) -> bool:
        """Whether there is nothing to get."""
        return not (broker or self.broker).get(Kind.PULL, self.pull, 100)

    def close(self) -> None:
        """Release everything that the test opened."""
        for process in self._processes:
            process.kill()
        for broker in self._brokers:
            broker.close()


class Adoption:
    """What an adapter says of itself when it adopts the contract.

    Attributes:
        opener: ``module:function`` that opens the adapter, with ``(url, *, clock)``.
        shares_processes: whether two objects opened with one url share their messages.
        counts_delayed: whether `Depth.delayed` is known.
        counts_unacked: whether `Depth.unacked` is known.
        separates_dead: whether each queue's dead letters can be taken apart from the others'.
        supersedes_stalled: whether a process kept from working is superseded within `PATIENCE_S`.
    """

    opener: ClassVar[str]
    shares_processes: ClassVar[bool] = True
    counts_delayed: ClassVar[bool] = True
    counts_unacked: ClassVar[bool] = True
    separates_dead: ClassVar[bool] = True
    supersedes_stalled: ClassVar[bool] = False

    @pytest.fixture
    def broker_url(self) -> str:
        """Where the broker is; the adapter overrides it."""
        raise NotImplementedError

    @pytest.fixture
    def obstruction(self) -> Callable[[], AbstractContextManager[object]]:
        """A context in which the broker cannot take publishes; the adapter overrides it where it can be had."""
        pytest.skip("this adapter has no obstruction to offer")

    @pytest.fixture
    def bench(self, broker_url: str) -> Iterator[Bench]:
        """Opened brokers, closed after the test."""
        bench = Bench(self.opener, broker_url)
        yield bench
        bench.close()

    @pytest.fixture
    def shared(self, bench: Bench) -> Bench:
        """The bench, where several objects and processes can share it."""
        if not self.shares_processes:
            pytest.skip("each object of this adapter has messages of its own")
        return bench


def messages(deliveries: list[Delivery]) -> list[Message]:
    """What was delivered."""
    return [delivery.message for delivery in deliveries]
