"""Our implementation on RabbitMQ as a side of the parity tests, for the cases that apply there.

Times are the script's, waiting would be RabbitMQ's own, and into its push queues a dispatcher alone can look: so a case
applies in which nothing is due later, and which looks at pull tasks alone, as workers do.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pika

from gae_broker import deferred, taskqueue
from gae_broker.domain import queue_yaml, wire
from gae_broker.domain.broker_options import BrokerOptions
from gae_broker.domain.task import Copy, Kind
from gae_broker.engine import runtime as runtimes
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings
from gae_broker.taskqueue import taskqueue as client
from gae_broker.testing.names import SequentialNamer
from gae_broker.testing.transactions import transaction
from gae_broker_adapters.brokers.rabbitmq import open_broker, topology
from gae_broker_adapters.ledgers.sql import open_ledger
from tests.parity import player
from tests.parity.case import QUEUES, Case

_WAITS_OR_LOOKS_INSIDE = re.compile(
    r"\brun\(|stored\((?!'pull)|\b(advance|listed|filtered|flush|remove|queues|pause|fetch_statistics|QueueStatistics|countdown|at|eta)\b"
)
CANNOT_TELL = frozenset({"a deleted name that was never added can be added", "what is not there"})
"""Cases about deleting what never was: RabbitMQ cannot look a task up, so a deletion is noted and counts as done."""
_CALLS = re.compile(r"\b(add|add_async|lease_\w+|delete_\w+|purge|modify_task_lease|defer)\(")
_MANY = 1000


def applies(case: Case) -> bool:
    """Whether a case can be played on RabbitMQ."""
    if case.queue_yaml != QUEUES or _WAITS_OR_LOOKS_INSIDE.search(case.lines) or case.name in CANNOT_TELL:
        return False
    return _CALLS.search(case.lines) is not None


class ScriptClock:
    """The clock of the script that is being played."""

    def __init__(self) -> None:
        self.script: player.Clock = player.Clock()

    def now_us(self) -> int:
        return self.script.now_us


class Rabbit:
    """One broker for all scripts: declaring a topology takes seconds."""

    def __init__(self, url: str) -> None:
        self.clock = ScriptClock()
        self.url = url
        self.broker = open_broker(url, clock=self.clock, options=BrokerOptions())
        self.file = queue_yaml.parse(QUEUES)
        self.broker.declare(list(self.file.queues.values()))

    def side(self, clock: player.Clock, _script: dict[str, Any]) -> RabbitSide:
        """A fresh side; see `player.play`."""
        self.clock.script = clock
        return RabbitSide(self)

    def empty(self) -> None:
        """Leave nothing, not even in the delay queues, to the next script."""
        bare = self.url.rstrip("/").count("/") == 2
        parameters = pika.URLParameters(self.url.rstrip("/") + ("/%2F" if bare else ""))
        with contextlib.closing(pika.BlockingConnection(parameters)) as connection:
            channel = connection.channel()
            for name in self.names():
                channel.queue_purge(name)

    def names(self) -> Iterator[str]:
        names = topology.Names(BrokerOptions().prefix)
        for queue in self.file.queues.values():
            yield names.queue(Kind(queue.mode.value), queue.name)
        for level in range(topology.LEVELS):
            for digit in range(1, topology.RADIX):
                yield names.delay(level, digit)

    def close(self) -> None:
        self.broker.close()


class RabbitSide:
    """The process's runtime on RabbitMQ, with names and times as the oracle has them."""

    def __init__(self, rabbit: Rabbit) -> None:
        self._rabbit = rabbit
        self._ledger = open_ledger("sqlite://", clock=rabbit.clock)
        self._ledger.migrate()
        settings = Settings(url=rabbit.url, ledger="sqlite://", queue_yaml="")
        self._runtime = Runtime(
            settings, rabbit.broker, self._ledger, clock=rabbit.clock, namer=SequentialNamer(), queues=rabbit.file
        )
        self._previous = runtimes.use(self._runtime)

    def namespace(self) -> dict[str, Any]:
        """See `player.Side`."""
        return {
            **{name: getattr(client, name) for name in vars(client) if not name.startswith("__")},
            "taskqueue": taskqueue,
            "deferred": deferred,
            "stored": self._stored,
            "in_transaction": self._in_transaction,
        }

    def close(self) -> None:
        """See `player.Side`."""
        runtimes.use(self._previous)
        self._ledger.close()
        self._rabbit.empty()

    def _stored(self, queue: str) -> list[Any]:
        """What a worker would get now, and leaves there."""
        taken = self._rabbit.broker.get(Kind.PULL, queue, _MANY)
        self._rabbit.broker.restore(taken)
        copies = [wire.decode(delivery.message) for delivery in taken]
        facts = self._ledger.facts(queue, [copy.name for copy in copies])
        purged_us = self._ledger.control(queue).purged_us
        live = [
            copy
            for copy in copies
            if copy.content.created_us > purged_us
            and (copy.name not in facts or facts[copy.name].live_copy == copy.copy_id)
        ]
        live += [wire.decode(held.message) for held in self._ledger.held(queue, _MANY, None)]
        return [self._shown(copy) for copy in sorted(live, key=lambda copy: (copy.eta_us, copy.name))]

    @staticmethod
    def _shown(copy: Copy) -> tuple[Any, ...]:
        content = copy.content
        when_ms = player.milliseconds(copy.eta_us / 1e6)
        return copy.name, when_ms, content.url, content.payload, content.tag, copy.progress.tries

    def _in_transaction(self, *calls: Any, rollback: bool = False) -> Any:
        outcomes: list[Any] = []

        def body() -> None:
            with transaction():
                given = [player.attempt(call) for call in calls]
                if rollback:
                    raise RuntimeError("roll back")
                outcomes.extend(given)

        result = player.attempt(body)
        return [*outcomes, "not committed" if isinstance(result, Exception) else "committed"]
