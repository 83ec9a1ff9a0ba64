"""google-cloud-ndb: its tasklets yield our RPCs, its namespace is a task's."""

from __future__ import annotations

import sys
import threading
import types

import pytest

from gae_broker import errors
from gae_broker import taskqueue as tq
from gae_broker.taskqueue import Queue, Task
from gae_broker.taskqueue.rpc import RPC, RUNNING

ndb = pytest.importorskip("google.cloud.ndb")
credentials = pytest.importorskip("google.auth.credentials")


@pytest.fixture
def context(world):
    client = ndb.Client(project="test", credentials=credentials.AnonymousCredentials(), namespace="shop")
    with client.context() as context:
        yield context


def test_a_tasklet_yields_an_rpc(context):
    @ndb.tasklet
    def add(name):
        task = yield Task(name=name).add_async()
        return task.name, task.was_enqueued, threading.current_thread()

    first, second = add("a"), add("b")
    assert first.result() == ("a", True, threading.current_thread())
    assert second.get_result() == ("b", True, threading.current_thread())


def test_a_tasklet_gets_the_services_error_thrown_in(context):
    @ndb.tasklet
    def add():
        try:
            yield Task().add_async("nope")
        except tq.UnknownQueueError:
            yield Task().add_async("unknown-too")

    with pytest.raises(tq.UnknownQueueError, match="unknown-too"):
        add().result()


def test_a_tasklet_yields_several_at_once(context):
    @ndb.tasklet
    def add():
        one, (two, three), slept = yield (
            Task(name="one").add_async(),
            [Task(name="two").add_async(), Task(name="three").add_async()],
            ndb.sleep(0),
        )
        return [one.name, two.name, three.name, slept]

    assert add().result() == ["one", "two", "three", None]


def test_the_end_of_a_call_comes_from_another_thread(context):
    opened = threading.Event()

    def work():
        assert opened.wait(60)
        return threading.current_thread()

    rpc = tq.create_rpc()._start("BulkAdd", {}, work, lambda thread: (thread, threading.current_thread()))

    @ndb.tasklet
    def wait():
        return (yield rpc)

    future = wait()
    assert not future.done()
    assert (rpc.running(), rpc.done(), rpc.cancelled()) == (True, False, False)
    opened.set()
    worker, decider = future.result()
    assert worker is not threading.current_thread()
    assert decider is threading.current_thread()
    assert (rpc.running(), rpc.done(), rpc.exception()) == (False, True, None)


def test_ndbs_own_waiting_functions(context):
    rpcs = [Task().add_async(), Task().add_async()]
    assert ndb.wait_any(rpcs) in rpcs
    ndb.wait_all(rpcs)
    assert all(rpc.result().was_enqueued for rpc in rpcs)


def test_ndbs_waiting_functions_wait_for_what_is_under_way(context):
    opened = threading.Event()
    rpc = tq.create_rpc()._start("BulkAdd", {}, lambda: opened.wait(60), lambda answer: answer)
    opener = threading.Timer(0.2, opened.set)  # ndb's loop has nothing else to do, and must not call itself exhausted
    opener.start()
    assert ndb.wait_any([rpc]) is rpc
    assert rpc.result() is True
    opener.join()


def test_a_deadline_ends_a_yield(context):
    opened = threading.Event()

    @ndb.tasklet
    def wait():
        rpc = tq.create_rpc(deadline=0.01)
        yield rpc._start("BulkAdd", {}, lambda: opened.wait(60), lambda _: None)

    try:
        with pytest.raises(errors.DeadlineExceededError):
            wait().result()
    finally:
        opened.set()


def test_a_call_is_not_called_off(context):
    opened = threading.Event()
    rpc = tq.create_rpc()._start("BulkAdd", {}, lambda: opened.wait(60), lambda answer: answer)
    rpc.cancel()
    assert rpc.state == RUNNING
    opened.set()
    assert rpc.result() is True


def test_callbacks_where_no_ndb_context_is_entered(world):
    called = threading.Event()
    rpc = Task().add_async()
    rpc.add_done_callback(lambda finished: called.set() if finished is rpc else None)
    assert called.wait(60)
    rpc.add_done_callback(lambda _: called.clear())
    assert not called.is_set()


def test_an_rpc_is_ndbs_future_and_ours(context):
    rpc = tq.create_rpc()
    assert isinstance(rpc, RPC)
    assert isinstance(rpc, ndb.Future)
    assert type(rpc) is type(tq.create_rpc())


def test_the_namespace_of_the_context_is_the_tasks(context):
    assert Task().headers["X-AppEngine-Current-Namespace"] == "shop"
    with context.new(namespace="other").use():
        assert Task().headers["X-AppEngine-Current-Namespace"] == "other"


def test_without_a_context_the_namespace_is_empty(world):
    assert Task().headers["X-AppEngine-Current-Namespace"] == ""


def test_synchronous_calls_work_within_a_tasklet(context):
    @ndb.tasklet
    def add():
        yield ndb.sleep(0)
        return Queue().add(Task(name="n"))

    assert add().result().was_enqueued


def test_without_ndb_or_while_it_is_being_imported_an_rpc_is_ours_alone(monkeypatch, world):
    for module in (None, types.ModuleType("google.cloud.ndb.tasklets")):
        monkeypatch.setitem(sys.modules, "google.cloud.ndb.tasklets", module)
        rpc = Task().add_async()
        assert type(rpc) is RPC
        assert rpc.get_result().was_enqueued
