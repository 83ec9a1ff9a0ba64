"""RPC objects: one call each, results that stay, callbacks, deadlines."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from gae_broker import errors
from gae_broker import taskqueue as tq
from gae_broker.engine import runtime
from gae_broker.taskqueue import Queue, QueueStatistics, Task
from gae_broker.taskqueue.rpc import FINISHING, IDLE, RPC, RUNNING
from tests.unit.engine.worlds import World
from tests.unit.taskqueue.seams import Gate, SlowBroker

THREADS = runtime._ASYNC_THREADS


@pytest.fixture
def gate(world):
    gate = Gate()
    yield gate
    gate.open()


def start(work, **options) -> RPC:
    return tq.create_rpc(**options)._start("BulkAdd", {"a": 1}, work, lambda response: [response])


def test_an_rpc_before_during_and_after_its_call(gate):
    rpc = tq.create_rpc(deadline=5)
    assert (rpc.service, rpc.method, rpc.deadline, rpc.request, rpc.response) == ("taskqueue", None, 5, None, None)
    assert rpc.state == IDLE == 0
    assert rpc._start("BulkAdd", {"a": 1}, gate, lambda response: [response]) is rpc
    assert (rpc.method, dict(rpc.request or {}), rpc.response, rpc.state) == ("BulkAdd", {"a": 1}, None, RUNNING)
    gate.open()
    assert rpc.get_result() == ["answer"]
    assert rpc.get_result() is rpc.get_result()
    assert (rpc.response, rpc.state) == ("answer", FINISHING)


@pytest.mark.parametrize(
    ("deadline", "error"),
    [
        ("5", TypeError),
        ([], TypeError),
        (0, tq.InvalidDeadlineError),
        (-0.1, tq.InvalidDeadlineError),
        (float("nan"), tq.InvalidDeadlineError),
    ],
)
def test_deadlines_that_are_none(deadline, error):
    with pytest.raises(error, match="deadline"):
        tq.create_rpc(deadline=deadline)


CALLS = {
    "BulkAdd": lambda rpc: Task().add_async(rpc=rpc),
    "BulkAdd of several": lambda rpc: Queue().add_async([Task()], rpc=rpc),
    "Delete": lambda rpc: Queue().delete_tasks_async(Task(name="a"), rpc=rpc),
    "Delete by name": lambda rpc: Queue().delete_tasks_by_name_async("a", rpc=rpc),
    "Delete by names": lambda rpc: Queue().delete_tasks_by_name_async(["a"], rpc=rpc),
    "QueryAndOwnTasks": lambda rpc: Queue("pull").lease_tasks_async(1, 1, rpc=rpc),
    "QueryAndOwnTasks by tag": lambda rpc: Queue("pull").lease_tasks_by_tag_async(1, 1, rpc=rpc),
    "FetchQueueStats": lambda rpc: Queue().fetch_statistics_async(rpc=rpc),
    "FetchQueueStats of several": lambda rpc: QueueStatistics.fetch_async(["default"], rpc=rpc),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_uses_the_rpc_that_it_is_given_once(world, name):
    rpc = tq.create_rpc()
    assert CALLS[name](rpc) is rpc
    assert rpc.method == name.partition(" ")[0]
    assert rpc.request is not None
    rpc.get_result()
    with pytest.raises(AssertionError, match=f"used for {rpc.method}"):
        CALLS[name](rpc)
    assert isinstance(CALLS[name](None), RPC)


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_rpc_is_refused(world, name):
    with pytest.raises(TypeError, match="create_rpc"):
        CALLS[name](object())


SYNCHRONOUS = {
    "add_async": lambda queue: queue.add(Task()),
    "delete_tasks_async": lambda queue: queue.delete_tasks_by_name("a"),
    "delete_tasks_by_name_async": lambda queue: queue.delete_tasks_by_name("a"),
    "lease_tasks_async": lambda queue: queue.lease_tasks(1, 1),
    "lease_tasks_by_tag_async": lambda queue: queue.lease_tasks_by_tag(1, 1),
    "fetch_statistics_async": lambda queue: queue.fetch_statistics(),
}


@pytest.mark.parametrize("method", SYNCHRONOUS)
def test_synchronous_methods_go_through_their_async_form(world, method):
    class OverriddenError(Exception):
        pass

    def refuse(self, *_, **__):
        raise OverriddenError

    queue = type("Mine", (Queue,), {method: refuse})("pull")
    with pytest.raises(OverriddenError):
        SYNCHRONOUS[method](queue)


def test_task_add_goes_through_its_async_form_and_the_queues(world, monkeypatch):
    seen = []
    original = Queue.add_async
    monkeypatch.setattr(Queue, "add_async", lambda self, *args: seen.append(self.name) or original(self, *args))
    tq.add(queue_name="push")
    assert seen == ["push"]


def test_waiting_before_a_call(world):
    rpc = tq.create_rpc()
    for wait in (rpc.wait, rpc.check_success, rpc.get_result, lambda: RPC.wait_any([rpc]), lambda: RPC.wait_all([rpc])):
        with pytest.raises(AssertionError, match="no call was made"):
            wait()


def test_arguments_are_checked_at_the_call_and_the_service_answers_later(world):
    with pytest.raises(tq.InvalidTaskError):
        Queue().add_async([Task(), Task(b"x", method="PULL")])
    rpc = Queue("nope").add_async(Task())
    rpc.wait()
    for _ in range(2):
        with pytest.raises(tq.UnknownQueueError):
            rpc.get_result()


def test_tasks_are_marked_when_the_result_is_asked_for(world):
    task = Task()
    rpc = task.add_async()
    rpc.wait()
    assert not task.was_enqueued
    assert rpc.get_result() is task
    assert task.was_enqueued


def test_a_lease_answers_with_the_same_tasks_each_time(world, clock):
    Queue("pull").add(Task(b"x", method="PULL"))
    clock.advance(1)
    rpc = Queue("pull").lease_tasks_async(1, 1)
    assert rpc.get_result() is rpc.get_result()


@pytest.mark.parametrize("name", ["default", "nope"])
def test_the_callback_is_called_once_without_arguments(world, name):
    called = []
    rpc = tq.create_rpc(callback=lambda: called.append(rpc.state))
    Queue(name).add_async(Task(), rpc=rpc)
    assert called == []
    rpc.wait()
    rpc.wait()
    rpc.check_success()
    assert called == [FINISHING]


def test_the_callback_may_be_set_later_and_may_ask_for_the_result(world):
    rpc = tq.create_rpc()
    results = []
    rpc.callback = lambda: results.append(rpc.get_result())
    task = Task()
    task.add_async(rpc=rpc)
    rpc.wait()
    assert results == [task]


def test_an_error_of_the_call_is_raised_by_check_success(world):
    def fail():
        raise errors.BrokerUnavailableError("gone")

    rpc = start(fail)
    for look in (rpc.check_success, rpc.get_result, rpc.get_result):
        with pytest.raises(tq.TransientError, match="gone"):
            look()
    assert rpc.response is None


def test_a_deadline_that_is_over(gate):
    rpc = start(gate, deadline=0.01)
    with pytest.raises(errors.DeadlineExceededError, match=r"BulkAdd.*0\.01 s.*may yet be done"):
        rpc.get_result()
    assert rpc.state == FINISHING
    gate.open()
    with pytest.raises(errors.DeadlineExceededError):
        rpc.get_result()


def test_a_call_that_was_not_begun_within_its_deadline_is_never_begun(gate):
    others = [start(gate) for _ in range(THREADS)]
    done = []
    late = start(lambda: done.append(1), deadline=0.01)
    with pytest.raises(errors.DeadlineExceededError, match="not begun, and will not be"):
        late.get_result()
    gate.open()
    RPC.wait_all(others)
    runtime.current().executor.shutdown()
    assert done == []


def test_a_call_without_a_deadline_waits_for_no_other(gate):
    for _ in range(THREADS):
        start(gate)
    assert start(lambda: "at once").get_result() == ["at once"]


def test_the_deadlines_of_the_synchronous_methods(gate, world, clock):
    slow = World(SlowBroker(world.broker, gate), world.ledger, clock)
    with runtime.using(slow.runtime):
        for call in (
            lambda: Queue("pull").lease_tasks(1, 1, deadline=0.01),
            lambda: Queue("pull").lease_tasks_by_tag(1, 1, deadline=0.01),
            lambda: Queue("pull").fetch_statistics(deadline=0.01),
            lambda: QueueStatistics.fetch("pull", deadline=0.01),
        ):
            with pytest.raises(errors.DeadlineExceededError):
                call()
    gate.open()
    slow.runtime.executor.shutdown()


def test_wait_any_answers_with_the_first_that_is_finished(gate):
    slow, fast = start(gate), start(lambda: "fast")
    assert RPC.wait_any([slow, fast]) is fast
    assert slow.state == RUNNING
    gate.open()
    RPC.wait_all([slow, fast])
    assert slow.get_result() == ["answer"]
    assert RPC.wait_any([]) is None
    assert type(slow).wait_any(rpc for rpc in [slow]) is slow


def test_wait_any_ends_with_the_earliest_deadline(gate):
    patient, hasty = start(gate, deadline=60), start(gate, deadline=0.01)
    assert RPC.wait_any([patient, hasty]) is hasty
    assert patient.state == RUNNING


def test_wait_calls_the_callbacks_of_those_alone_that_it_waits_for(gate):
    called = []
    rpcs = [start(lambda: "answer", callback=lambda n=n: called.append(n)) for n in range(3)]
    RPC.wait_any(rpcs[1:2])
    assert called == [1]
    RPC.wait_all(rpcs)
    assert called == [1, 0, 2]


def test_calls_run_beside_each_other(gate):
    first, second = start(gate), start(gate)
    assert gate.entered.wait(60)
    assert start(lambda: "third").get_result() == ["third"]
    assert (first.state, second.state) == (RUNNING, RUNNING)


def test_many_threads_may_ask_for_one_result(world):
    decided = []
    rpc = tq.create_rpc()._start("BulkAdd", {}, lambda: 5, lambda response: decided.append(response) or object())
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: rpc.get_result(), range(32)))
    assert len(set(map(id, results))) == 1
    assert decided == [5]


def test_a_runtime_that_cannot_be_opened_is_the_services_error(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAE_BROKER_URL", "nothing://")
    previous = runtime.use(None)
    try:
        rpc = Task().add_async()
        with pytest.raises(errors.SettingsError, match="nothing"):
            rpc.get_result()
    finally:
        runtime.use(previous)


def test_a_task_added_when_no_thread_can_be_had_is_added_here(world):
    world.runtime.executor.shutdown()
    assert Task().add().was_enqueued


# --------------------------------------------------------------------------------------------- asyncio


def test_an_rpc_can_be_awaited(world):
    async def main():
        task = Task()
        called = []
        assert await task.add_async(rpc=tq.create_rpc(callback=lambda: called.append(1))) is task
        with pytest.raises(tq.UnknownQueueError):
            await Task().add_async("nope")
        rpc = Task().add_async()
        assert await rpc is await rpc
        return called

    assert asyncio.run(main()) == [1]


def test_awaiting_does_not_block_the_loop(gate):
    async def main():
        waiting = asyncio.ensure_future(wait_for(start(gate)))
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.open()
        return await waiting

    async def wait_for(rpc):
        return await rpc

    assert asyncio.run(main()) == ["answer"]


def test_awaiting_keeps_the_deadline(gate):
    async def main():
        with pytest.raises(errors.DeadlineExceededError):
            await start(gate, deadline=0.01)

    asyncio.run(main())


def test_who_awaits_may_be_cancelled_and_the_call_goes_on(gate):
    rpc = start(gate)

    async def main():
        async def wait_for():
            return await rpc

        waiting = asyncio.ensure_future(wait_for())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    gate.open()
    assert rpc.get_result() == ["answer"]


def test_awaiting_before_a_call(world):
    async def main():
        with pytest.raises(AssertionError, match="no call was made"):
            await tq.create_rpc()

    asyncio.run(main())
