"""Random histories of one pull queue, compared step by step with the reference model."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gae_broker import errors
from gae_broker.domain.task import PULL, Content
from tests.unit.engine.model import Model, RefusedError
from tests.unit.engine.worlds import START_US, StillClock, World, adapters, pull_task

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
TAGS = st.sampled_from([None, "", "x", "y"])
MOMENTS_US = st.sampled_from([0, 1, 2, 5, 1_000_000, 2_500_000])
COUNTS = st.sampled_from([1, 2, 3, 100])


class History(RuleBasedStateMachine):
    """Does everything twice: to the engine, and to the model."""

    @initialize(limit=st.sampled_from([None, 2]))
    def begin(self, limit):
        self.stack = contextlib.ExitStack()
        self.clock = StillClock()
        broker, ledger = self.stack.enter_context(adapters(self.clock))
        self.queue = "pull" if limit is None else "twice"
        self.world = World(broker, ledger, self.clock)
        self.model = Model(limit)
        self.unnamed = []

    def teardown(self):
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(names=st.lists(NAMES, min_size=1, max_size=3, unique=True), tag=TAGS, ahead_us=MOMENTS_US, past=st.booleans())
    def add_named(self, names, tag, ahead_us, past):
        eta_us = self.clock.us + (-ahead_us if past else ahead_us)
        expected = [self._refusal(self.model.add, name, eta_us, tag) for name in names]
        added = self.world.add(*[pull_task(name, eta_us=eta_us, tag=tag) for name in names], queue=self.queue)
        assert [added.error and type(added.error).__name__ for added in added] == expected

    @rule(tag=TAGS, ahead_us=MOMENTS_US)
    def add_unnamed(self, tag, ahead_us):
        eta_us = self.clock.us + ahead_us
        (added,) = self.world.add(pull_task(eta_us=eta_us, tag=tag), queue=self.queue)
        self.model.add(added.name, eta_us, tag)
        self.unnamed.append(added.name)

    @rule(by_us=MOMENTS_US)
    def let_time_pass(self, by_us):
        self.clock.us += by_us

    @rule(lease_us=MOMENTS_US, count=COUNTS, by_tag=st.booleans(), tag=TAGS)
    def lease(self, lease_us, count, by_tag, tag):
        expected = self.model.lease(self.clock.us, lease_us, count, by_tag, tag)
        leased = self.world.runtime.leaser.lease(self.queue, lease_us, count, by_tag=by_tag, tag=tag)
        assert [(copy.name, copy.progress.tries) for copy in leased] == expected
        assert {copy.eta_us for copy in leased} <= {self.clock.us + lease_us}

    @rule(data=st.data(), lease_us=MOMENTS_US, off_us=st.sampled_from([0, 0, 0, 1, -1]))
    def modify(self, data, lease_us, off_us):
        name = self._some_name(data)
        known = self.model.tasks.get(name)
        expected_us = (known.eta_us if known else START_US) + off_us
        refusal = self._refusal(self.model.modify, name, self.clock.us, expected_us, lease_us)
        fallback = Content(name, method=PULL, payload=b"p", tag=known.tag if known else None)
        answer = self._answer(name, expected_us, lease_us, fallback)
        if refusal is None:
            assert answer == self.clock.us + lease_us
        else:
            # A name that was chosen is of no use to anybody, so how long it stays taken is nobody's business.
            gone = {"UnknownTaskError", "TombstonedTaskError"} if name in self.unnamed else set()
            assert answer == refusal or {answer, refusal} <= gone

    @rule(data=st.data())
    def delete(self, data):
        name = self._some_name(data)
        assert self.world.delete(name, queue=self.queue) == [self.model.delete(name)]

    @rule()
    def purge(self):
        self.world.runtime.remover.purge(self.queue)
        self.model.purge()

    @rule(paused=st.booleans())
    def pause(self, paused):
        self.model.paused = paused
        controller = self.world.runtime.controller
        (controller.pause if paused else controller.resume)(self.queue)

    @invariant()
    def the_same_tasks_are_there(self):
        if not hasattr(self, "model"):
            return
        shown = self.world.runtime.browser.tasks(self.queue, 1000)
        model = sorted(self.model.tasks.values(), key=lambda entry: (entry.eta_us, entry.name))
        assert [(copy.eta_us, copy.name, copy.content.tag, copy.progress.tries) for copy in shown] == [
            (entry.eta_us, entry.name, entry.tag, entry.leases) for entry in model
        ]
        figures = self.world.runtime.statistician.fetch(self.queue)
        assert (figures.tasks, figures.oldest_eta_us) == (len(model), model[0].eta_us if model else None)

    def _answer(self, *arguments):
        try:
            return self.world.runtime.leaser.modify(self.queue, *arguments)
        except errors.Error as exc:
            return type(exc).__name__

    def _some_name(self, data):
        return data.draw(st.one_of(NAMES, st.sampled_from([*self.unnamed[-3:], "unknown"])))

    @staticmethod
    def _refusal(operation, *args):
        try:
            operation(*args)
        except RefusedError as exc:
            return str(exc)
        return None


History.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHistories = History.TestCase
