"""The dispatcher interrupted: without its ledger, stopped, forced, and taken over from."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time

import pytest

from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.engine.dispatcher.lane import _FENCE_S
from gae_broker.errors import LedgerUnavailableError
from gae_broker.ports import Report
from tests.integration.dispatching import FAST, GUARD_S, ground, until

APP = {"default": "wsgi+handlers_of_a_test:app"}


class Switch:
    """A ledger whose database can be switched off."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.is_off = False
        self.refused = threading.Event()
        self.refusals = []

    def __getattr__(self, name):
        method = getattr(self._ledger, name)

        def call(*args, **kwargs):
            if self.is_off:
                self.refusals.append(name)
                self.refused.set()
                raise LedgerUnavailableError("switched off")
            return method(*args, **kwargs)

        return call


def test_without_a_ledger_the_dispatcher_holds_and_goes_on_by_itself(application, caplog):
    with ground(targets=APP) as field:
        switch = field.runtime.ledger = Switch(field.runtime.ledger)

        async def scenario(_):
            field.add("")
            await field.watcher.attempts(1)
            switch.is_off = True
            await asyncio.to_thread(switch.refused.wait, GUARD_S)
            for _ in range(3):
                field.add("")
            polls = switch.refusals.count("control")
            await until(lambda: switch.refusals.count("control") >= polls + 2)
            assert len(application.requests) == 1
            assert switch.refusals.count("facts") <= 3  # it holds, rather than to take tasks and put them back
            switch.is_off = False
            await field.watcher.attempts(4)

        with caplog.at_level(logging.WARNING, "gae_broker.dispatch"):
            field.serve(scenario)
    warnings = [record.message for record in caplog.records if record.name == "gae_broker.dispatch"]
    assert warnings == [
        "ledger: switched off; dispatching is held until it works again",
        "ledger: works again",
    ]


def test_what_could_not_be_settled_is_settled_later_and_does_not_run_again(application):
    with ground(targets=APP) as field:
        switch = field.runtime.ledger = Switch(field.runtime.ledger)

        def handler(_):
            switch.is_off = True  # so the end of this named task cannot be recorded
            return "200 OK"

        application.answer = handler

        async def scenario(_):
            field.add("named", named=True)
            await asyncio.to_thread(switch.refused.wait, GUARD_S)
            switch.is_off = False
            await field.watcher.attempts(1)

        field.serve(scenario)
        assert application.names == ["named"]
        assert field.comes_to_hold(0)


def test_stopping_waits_for_what_runs_and_leaves_the_rest(application):
    busy, over = threading.Event(), threading.Event()

    def handler(_):
        busy.set()
        over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler
    with ground(Queue("q", max_concurrent=1, **FAST), targets=APP) as field:
        field.add("a", "b", queue="q")

        async def scenario(dispatcher):
            await asyncio.to_thread(busy.wait, GUARD_S)
            dispatcher.stop()
            over.set()

        field.serve(scenario, stop=False)
        assert [event.task for event in field.watcher.events] == ["a"]
        (left,) = field.runtime.broker.get(Kind.PUSH, "q", 10)
        assert (left.message.key, left.delivery_count) == ("b", 0)


@pytest.mark.parametrize("forced", [True, False])
def test_what_does_not_end_in_time_goes_back_to_its_queue(application, forced):
    busy, over = threading.Event(), threading.Event()

    def handler(_):
        busy.set()
        over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler
    with ground(targets=APP) as field:
        field.add("a")

        async def scenario(dispatcher):
            await asyncio.to_thread(busy.wait, GUARD_S)
            dispatcher.stop()
            if forced:
                dispatcher.stop()

        field.serve(scenario, stop=False, drain_timeout_s=GUARD_S * 2 if forced else 0.05)
        over.set()
        assert field.watcher.events == []
        assert field.comes_to_hold(1)

        async def again(_):
            await field.watcher.attempts(1)

        field.serve(again)


def test_another_dispatcher_takes_over_when_one_stops(application):
    with ground(targets=APP) as field:

        async def scenario(first):
            field.add("a")
            await field.watcher.attempts(1)
            second = field.dispatcher()
            running = asyncio.create_task(second.run())
            epoch = field.runtime.ledger.control("default").epoch
            first.stop()
            await until(lambda: field.runtime.ledger.control("default").epoch > epoch)
            field.add("b")
            await field.watcher.attempts(2)
            second.stop()
            await running

        field.serve(scenario, stop=False)
    assert application.names == ["a", "b"]


class Mute:
    """A ledger that can be made to give no answer about queues."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.answers = threading.Event()
        self.answers.set()

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def control(self, queue):
        self.answers.wait(GUARD_S)
        return self._ledger.control(queue)


def test_an_owner_that_cannot_know_whether_it_still_is_begins_nothing(application):
    with ground(targets=APP) as field:
        mute = field.runtime.ledger = Mute(field.runtime.ledger)

        async def scenario(_):
            field.add("a")
            await field.watcher.attempts(1)
            mute.answers.clear()
            await asyncio.sleep(_FENCE_S + 0.2)
            field.add("b")
            await asyncio.sleep(0.3)
            assert application.names == ["a"]
            mute.answers.set()
            await field.watcher.attempts(2)

        field.serve(scenario)


def test_who_takes_over_waits_until_the_one_before_must_know(application):
    with ground(targets=APP) as field:
        epoch = field.runtime.ledger.take_ownership("default", "another")
        report = Report(
            executed_last_minute=9, in_flight=1, enforced_rate=5.0, reported_us=field.runtime.clock.now_us()
        )
        assert field.runtime.ledger.report("default", epoch, report)
        field.add("a")
        began_s = time.monotonic()

        async def scenario(_):
            await field.watcher.attempts(1)
            assert time.monotonic() - began_s >= _FENCE_S

        field.serve(scenario)
        last = field.runtime.ledger.control("default").report
        assert (last.in_flight, last.enforced_rate) == (0, 0.0)  # so that who comes next needs not wait


@pytest.fixture
def ended():
    """What a dispatcher called itself whose process was killed."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from gae_broker.engine.dispatcher.identity import own_name as n; print(n(), flush=True)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    return process.communicate()[0].strip()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell whose process ids they are")
@pytest.mark.parametrize(("limit", "expected"), [(1000, ["a"]), (1, [])])
def test_who_takes_over_from_a_killed_one_leaves_only_its_slots_free(application, ended, monkeypatch, limit, expected):
    monkeypatch.setattr("gae_broker.engine.dispatcher.lane._FENCE_S", 3600.0)
    with ground(Queue("q", rate_per_s=10.0, bucket_size=5, max_concurrent=limit), targets=APP) as field:
        epoch = field.runtime.ledger.take_ownership("q", ended)
        report = Report(
            executed_last_minute=9, in_flight=1, enforced_rate=5.0, reported_us=field.runtime.clock.now_us()
        )
        assert field.runtime.ledger.report("q", epoch, report)
        field.add("a", queue="q")

        async def scenario(_):
            if expected:
                await field.watcher.attempts(1)
            else:
                await asyncio.sleep(0.5)

        field.serve(scenario)
        assert application.names == expected
