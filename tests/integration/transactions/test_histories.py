"""Random histories of transactions and relays: nothing is lost, nothing is invented, and each queue keeps its order."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy.orm import Session

from gae_broker import errors, taskqueue
from gae_broker.engine import outbox as relaying
from gae_broker.engine import runtime
from gae_broker.testing.bench import TaskBench
from gae_broker_adapters.sqlalchemy import outbox
from tests.integration.transactions.conftest import QUEUES, begin_as_documented
from tests.unit.engine.doubles import Passing

LONGER_THAN_ANY_CLAIM_S = 3600.0
NAMES = ("default", "pull")
WHERE = st.integers(0, 2)


class Killed(BaseException):
    """The relay's process ends here."""


class Mortal(Passing):
    """An outbox whose relay is killed before it comes to do this."""

    def __init__(self, target, dies_before):
        super().__init__(target)
        self.dead = False
        self._dies_before = dies_before

    def __getattr__(self, name):
        if self.dead or name == self._dies_before:
            self.dead = True
            raise Killed
        return getattr(self._target, name)


class Broker(Passing):
    """Keeps a list of what was published, and refuses everything while it is away."""

    def __init__(self, target):
        super().__init__(target)
        self.published = []
        self.away = False
        self.lock = threading.Lock()

    def publish(self, messages, deadline_s):
        if self.away:
            return [errors.BrokerUnavailableError("away") for _ in messages]
        with self.lock:
            answers = self._target.publish(messages, deadline_s)
            self.published += [message.key for message in messages]
        return answers


@dataclass
class Under:
    """One session's transaction, in the model.

    Attributes:
        session: the session.
        layers: what was added since it began, and since each savepoint within it: (queue, name, moment).
    """

    session: Session
    layers: list[list[tuple[str, str, int]]] = field(default_factory=lambda: [[]])
    savepoints: list = field(default_factory=list)


class Histories(RuleBasedStateMachine):
    engine: sa.Engine
    sessions = 1

    def __init__(self):
        super().__init__()
        with self.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM gae_broker_outbox"))
        self.bench = TaskBench(QUEUES)
        self.bench.install()
        self.broker = Broker(self.bench.runtime.broker)
        self.bench.runtime.enqueuer._broker = self.broker
        self.under: dict[int, Under] = {}
        self.committed: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self.dropped: set[str] = set()
        self.moment = 0

    def teardown(self):
        for under in self.under.values():
            under.session.close()
            self.dropped.update(name for layer in under.layers for _, name, _ in layer)
        self.under.clear()
        try:
            self.broker.away = False
            self.bench.advance(LONGER_THAN_ANY_CLAIM_S)
            relaying.Relay(outbox.attach(self.engine).rows, runtime.current).run()
            self._judge()
        finally:
            self.bench.close()

    def _judge(self):
        first = {}
        for index, name in enumerate(self.broker.published):
            first.setdefault(name, index)
        expected = {name for entries in self.committed.values() for name, _, _ in entries}
        assert set(first) == expected, "lost, or made of a rollback"
        assert not expected & self.dropped
        for entries in self.committed.values():
            for name, _, committed in entries:
                for later, added, _ in entries:
                    if added > committed:
                        assert first[name] < first[later], "overtaken by a task that was added after the commit"
        for group in self._transactions.values():
            for queue in NAMES:
                own = [first[name] for of, name in group if of == queue]
                assert own == sorted(own), "out of order within a transaction"

    _transactions: dict[int, list[tuple[str, str]]]

    @rule(where=WHERE, queue=st.sampled_from(NAMES), count=st.integers(1, 3))
    def add(self, where, queue, count):
        """Add tasks in a session's transaction, which begins with the first."""
        where %= self.sessions
        if where not in self.under:
            self.under[where] = Under(Session(self.engine))
            self.under[where].session.begin()
        under = self.under[where]
        tasks = [taskqueue.Task(b"x", method="PULL") if queue == "pull" else taskqueue.Task() for _ in range(count)]
        taken = sum(map(len, under.layers))
        with outbox.within(under.session):
            if taken + count > 5:
                with pytest.raises(taskqueue.DatastoreError):
                    taskqueue.Queue(queue).add(tasks, transactional=True)
                return
            taskqueue.Queue(queue).add(tasks, transactional=True)
        self.moment += 1
        under.layers[-1] += [(queue, task.name, self.moment) for task in tasks]

    @precondition(lambda self: self.under)
    @rule(where=WHERE)
    def savepoint(self, where):
        under = self._chosen(where)
        under.savepoints.append(under.session.begin_nested())
        under.layers.append([])

    @precondition(lambda self: any(under.savepoints for under in self.under.values()))
    @rule(where=WHERE, keep=st.booleans())
    def end_savepoint(self, where, keep):
        under = self._chosen(where)
        if not under.savepoints:
            return
        layer = under.layers.pop()
        if keep:
            under.savepoints.pop().commit()
            under.layers[-1] += layer
        else:
            under.savepoints.pop().rollback()
            self.dropped.update(name for _, name, _ in layer)

    @precondition(lambda self: self.under)
    @rule(
        where=WHERE,
        keep=st.sampled_from((True, True, True, False)),
        fast=st.booleans(),
        dies=st.sampled_from((None, "claim", "release", "forget")),
    )
    def end(self, where, keep, fast, dies):
        key = self._key(where)
        under = self.under.pop(key)
        added = [entry for layer in under.layers for entry in layer]
        if keep:
            under.session.commit()
            self.moment += 1
            for queue, name, moment in added:
                self.committed[queue].append((name, moment, self.moment))
            self._transactions[self.moment] = [(queue, name) for queue, name, _ in added]
        else:
            under.session.rollback()
            self.dropped.update(name for _, name, _ in added)
        under.session.close()
        if keep and fast:  # what the commit's own process does next, if it lives
            self._relay(Mortal(outbox.attach(self.engine).rows, dies), {queue for queue, _, _ in added})

    @rule(dies=st.sampled_from((None, "claim", "release", "forget")))
    def relay(self, dies):
        self._relay(Mortal(outbox.attach(self.engine).rows, dies))

    @rule(seconds=st.sampled_from((1.0, LONGER_THAN_ANY_CLAIM_S)))
    def wait(self, seconds):
        self.bench.advance(seconds)

    @rule(away=st.sampled_from((True, False, False)))
    def broker_goes_or_comes(self, away):
        self.broker.away = away

    def _relay(self, box, queues=None):
        # SQLite may be locked by the transaction under way, in this very thread: then the relay fails, and comes again.
        with contextlib.suppress(Killed, errors.OutboxUnavailableError):
            relaying.Relay(box, runtime.current).run(queues)

    def _key(self, where):
        return sorted(self.under)[where % len(self.under)]

    def _chosen(self, where):
        return self.under[self._key(where)]


def test_nothing_is_lost_and_queues_keep_their_order(database_url):
    sqlite = database_url.startswith("sqlite")
    engine = sa.create_engine(database_url, connect_args={"timeout": 0.001} if sqlite else {})
    begin_as_documented(engine)
    outbox.attach(engine, relays=False)

    class History(Histories):
        sessions = 1 if sqlite else 3  # SQLite has one writer at a time

        def __init__(self):
            self._transactions = {}
            super().__init__()

    History.engine = engine
    try:
        run_state_machine_as_test(
            History,
            settings=settings(
                max_examples=150,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        outbox.detach(engine)
        engine.dispose()
