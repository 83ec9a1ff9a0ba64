"""Admission and settlement of deliveries, on the embedded broker and a SQL ledger in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from gae_broker.domain.attempt import Done, GiveUp, Outcome, Retry
from gae_broker.domain.queue import Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Content, Copy, Kind
from gae_broker.domain.wire import decode, encode
from gae_broker.engine.delivery import Deliverer
from gae_broker.engine.enqueue import NewTask
from gae_broker.errors import BrokerUnavailableError, LedgerUnavailableError, TombstonedTaskError
from gae_broker.ports import State
from tests.unit.engine.lifeline import Process
from tests.unit.engine.worlds import START_US, S, World, adapters, push_task

QUEUE = Queue("push")
ONCE = Queue("push", retry=RetryParameters(limit=0))
STEPS = 40


def take(world, limit=100):
    return world.broker.get(Kind.PUSH, "push", limit)


def admit(world, queue=QUEUE):
    return Deliverer(world.runtime).admit(queue, take(world))


def outcome(world, status=200, reason=""):
    return Outcome(status, reason, world.clock.us, world.clock.us + 10)


def settle(world, attempts, status=200, queue=QUEUE):
    return Deliverer(world.runtime).settle(queue, [(attempt, outcome(world, status)) for attempt in attempts])


def add(world, *names, **options):
    return [added.name for added in world.add(*(push_task(name, **options) for name in names), queue="push")]


def dead(world):
    return [decode(message) for message in world.broker.browse(Kind.DEAD, "push", 100, None)]


def stored(world):
    return [decode(message) for message in world.broker.browse(Kind.PUSH, "push", 100, None)]


def fact(world, name):
    return world.ledger.facts("push", [name]).get(name)


def test_a_task_that_succeeds_is_gone_and_unnamed_leaves_no_row(world):
    (name,) = add(world, "")
    (attempt,) = admit(world)
    assert attempt.copy.name == name
    assert attempt.number == 1
    assert attempt.request.url == "/work"
    (settled,) = settle(world, [attempt])
    assert settled.conclusion == Done()
    assert settled.error is None
    assert stored(world) == []
    assert fact(world, name) is None


def test_a_named_task_that_succeeds_leaves_a_tombstone(world):
    add(world, "a")
    settle(world, admit(world))
    assert fact(world, "a").state is State.DONE
    with pytest.raises(TombstonedTaskError):
        _raise(world.add(push_task("a"), queue="push"))


def _raise(added):
    raise added[0].error


@pytest.mark.parametrize("name", ["", "named"])
def test_a_task_that_fails_comes_back_on_schedule_as_another_copy(world, name):
    (name,) = add(world, name)
    (first,) = admit(world)
    (settled,) = settle(world, [first], 500)
    assert isinstance(settled.conclusion, Retry)
    (waiting,) = stored(world)
    assert waiting.copy_id != first.copy.copy_id
    assert waiting.eta_us == first.copy.eta_us + 10 + 100_000
    assert admit(world) == []
    world.clock.us = waiting.eta_us
    (second,) = admit(world)
    assert second.number == 2
    headers = dict(second.request.headers)
    assert headers["X-AppEngine-TaskRetryCount"] == "1"
    assert headers["X-AppEngine-TaskExecutionCount"] == "1"
    assert headers["X-AppEngine-TaskPreviousResponse"] == "500"
    settle(world, [second])
    assert fact(world, name).state is State.DONE
    assert stored(world) == []


def test_a_task_given_up_is_kept_among_the_dead_with_its_history(world):
    (name,) = add(world, "")
    (settled,) = settle(world, admit(world, ONCE), 503, ONCE)
    assert isinstance(settled.conclusion, GiveUp)
    assert stored(world) == []
    (kept,) = dead(world)
    assert kept.name == name
    assert [entry.status for entry in kept.progress.history] == [503]


def test_a_named_task_given_up_is_tombstoned(world):
    add(world, "a")
    settle(world, admit(world, ONCE), 500, ONCE)
    with pytest.raises(TombstonedTaskError):
        _raise(world.add(push_task("a"), queue="push"))


def test_a_deleted_task_is_dropped(world):
    kept, gone = add(world, "kept", "gone")
    deliveries = take(world)
    world.delete(gone, queue="push")
    attempts = Deliverer(world.runtime).admit(QUEUE, deliveries)
    assert [attempt.copy.name for attempt in attempts] == [kept]
    assert [copy.name for copy in stored(world)] == [kept]


def test_a_purged_task_in_hand_is_dropped(world):
    add(world, "", "named")
    deliveries = take(world)
    world.clock.advance(1)
    world.runtime.remover.purge("push")
    (later,) = add(world, "")
    assert Deliverer(world.runtime).admit(QUEUE, deliveries) == []
    assert [attempt.copy.name for attempt in admit(world)] == [later]


def test_a_copy_that_was_replaced_is_dropped(world):
    add(world, "a")
    (attempt,) = admit(world)
    orphan = attempt.copy.successor("orphan", 0, attempt.copy.progress)
    world.broker.publish([encode(orphan)], 1.0)
    settle(world, [attempt], 500)
    world.clock.advance(1)
    assert [found.number for found in admit(world)] == [2]
    assert "orphan" not in [copy.copy_id for copy in stored(world)]


def test_a_task_delivered_before_its_eta_is_put_back_until_then(world):
    early = Copy("early", "push", Content("t", url="/work", created_us=START_US), world.clock.us + 5 * S)
    world.broker.publish([replace(encode(early), due_us=0)], 1.0)
    assert admit(world) == []
    (waiting,) = stored(world)
    assert waiting.eta_us == early.eta_us
    world.clock.advance(5)
    assert [attempt.copy.name for attempt in admit(world)] == ["t"]


def test_a_message_that_cannot_be_read_is_kept_among_the_dead(world):
    copy = Copy("c", "push", Content("t", url="/work", created_us=START_US), 0)
    world.broker.publish([replace(encode(copy), meta="{not json")], 1.0)
    add(world, "good")
    assert [attempt.copy.name for attempt in admit(world)] == ["good"]
    (kept,) = world.broker.browse(Kind.DEAD, "push", 10, None)
    assert kept.meta == "{not json"


def test_a_batch_is_settled_each_for_itself(world):
    add(world, "a", "b", "c")
    attempts = {attempt.copy.name: attempt for attempt in admit(world)}
    ended = [(attempts[name], outcome(world, status)) for name, status in (("a", 200), ("b", 500), ("c", None))]
    Deliverer(world.runtime).settle(QUEUE, ended)
    waiting = {copy.name: copy.progress.executions for copy in stored(world)}
    assert waiting == {"b": 1, "c": 0}


def test_queue_options_reach_the_request(world):
    add(world, "a")
    (attempt,) = admit(world, Queue("push", target="v1.api"))
    assert attempt.request.target == "v1.api"
    assert attempt.request.deadline_us == 600 * S


class Failing:
    """A broker or ledger one of whose methods fails, as when its server is gone; the rest works."""

    def __init__(self, target, method, answer):
        self._target = target
        self._method = method
        self._answer = answer

    def __getattr__(self, name):
        return self._answer if name == self._method else getattr(self._target, name)


def raising(error):
    def call(*_args, **_kwargs):
        raise error

    return call


def unpublished(messages, _deadline_s):
    return [BrokerUnavailableError("gone") for _ in messages]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    ("part", "method", "answer", "statuses_kept"),
    [
        ("broker", "publish", unpublished, {500}),
        ("broker", "publish", raising(BrokerUnavailableError("gone")), {500}),
        ("broker", "ack", raising(BrokerUnavailableError("gone")), {200, 500}),
        ("ledger", "advance", raising(LedgerUnavailableError("gone")), {500}),
        ("ledger", "finish", raising(LedgerUnavailableError("gone")), {200}),
    ],
)
def test_what_cannot_be_settled_is_not_acked_and_comes_back(world, part, method, answer, statuses_kept, status):
    add(world, "a")
    attempts = admit(world)
    working = getattr(world.runtime, part)
    setattr(world.runtime, part, Failing(working, method, answer))
    (settled,) = settle(world, attempts, status)
    assert (settled.error is not None) == (status in statuses_kept)
    setattr(world.runtime, part, working)
    if settled.error is not None:
        (again,) = settle(world, attempts, status)
        assert again.error is None
    world.clock.advance(1)
    assert len(admit(world)) == (1 if status == 500 else 0)


def test_admission_without_a_ledger_acks_nothing(world):
    add(world, "a", "b")
    deliveries = take(world)
    ledger = world.runtime.ledger
    world.runtime.ledger = Failing(ledger, "facts", raising(LedgerUnavailableError("gone")))
    with pytest.raises(LedgerUnavailableError):
        Deliverer(world.runtime).admit(QUEUE, deliveries)
    world.runtime.ledger = ledger
    world.broker.restore(deliveries)
    assert len(admit(world)) == 2


@pytest.mark.parametrize("status", [200, 500, None])
def test_a_crash_at_any_step_loses_nothing_and_runs_a_finished_task_again_only_before_its_ack(clock, status):
    for at in range(STEPS):
        with adapters(clock) as (broker, ledger):
            survivor = World(broker, ledger, clock, "s-")
            names = {*add(survivor, "", "named", "")}
            process = Process(broker, ledger, clock, "p-")
            crashed = process.run_until(at, lambda world: settle(world, admit(world), status))
            ran = Counter()
            for _ in range(5):
                clock.advance(3600)
                attempts = admit(survivor)
                ran.update(attempt.copy.name for attempt in attempts)
                settle(survivor, attempts)
            assert stored(survivor) == []
            label = process.life.trace[-1] if crashed else "end"
            expected = set(names)
            if status == 200 and label in {"after ledger.finish", "before broker.ack"}:
                expected.discard("named")  # its row says already that it is done
            if status == 200 and label in {"after broker.ack", "end"}:
                expected.clear()
            assert set(ran) == expected, label
            assert max(ran.values(), default=0) <= 2, label
        if not crashed:
            assert at > 4
            return
    raise AssertionError("more steps than the test looks at")


def test_a_settlement_repeated_after_an_unknown_outcome_leaves_one_live_copy(world):
    """The move took place but its answer was lost; the second settlement's copy is void, the first one's runs."""
    add(world, "a")
    attempts = admit(world)
    ledger = world.runtime.ledger

    def advance_then_fail(*args):
        ledger.advance(*args)
        raise LedgerUnavailableError("connection lost before the answer")

    world.runtime.ledger = Failing(ledger, "advance", advance_then_fail)
    (settled,) = settle(world, attempts, 500)
    assert settled.error is not None
    world.runtime.ledger = ledger
    settle(world, attempts, 500)
    world.clock.advance(3600)
    assert len(admit(world)) == 1


def test_a_task_that_keeps_killing_its_worker_is_given_up_if_its_limits_say_so(clock):
    with adapters(clock) as (broker, ledger):
        world = World(broker, ledger, clock)
        world.add(NewTask(Content("a", url="/work", retry=RetryParameters(limit=0)), clock.us), queue="push")
        deliveries = [replace(delivery, delivery_count=3) for delivery in take(world)]
        assert Deliverer(world.runtime).admit(QUEUE, deliveries) == []
        (kept,) = dead(world)
        assert kept.progress.reason == "worker ended during 3 attempts in a row"
        assert fact(world, "a").state is State.DONE


def test_a_retry_that_comes_before_it_is_recorded_runs(clock):
    """Its row names the copy before it until then, which makes it neither stale nor early."""
    quick = Queue("push", retry=RetryParameters(min_backoff_s=0.001))
    for at in range(STEPS):
        with adapters(clock) as (broker, ledger):
            other, process = World(broker, ledger, clock, "o-"), Process(broker, ledger, clock, "p-")
            add(other, "named")
            ran = []

            def serve(other=other, ran=ran):
                other.clock.advance(1)
                ran.append([one.attempt.copy.name for one in settle(other, admit(other, quick), queue=quick)])

            process.run_interrupted(at, lambda w: settle(w, admit(w, quick), 500, quick), serve)
            if not ran:
                assert at > 1
                return
            serve()
            assert sum(names.count("named") for names in ran) == 1, process.life.trace
            assert stored(other) == []
    raise AssertionError("the operation has more steps than the test looks at")
