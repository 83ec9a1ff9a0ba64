"""``transactional=True`` in google-cloud-ndb's transactions, on a double of the Datastore behind its real interface."""

from __future__ import annotations

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

from gae_broker import deferred, errors, taskqueue
from gae_broker.testing.contracts.outbox import NOW_US, Box, OutboxContract
from gae_broker_adapters import ndb as adapter
from tests.integration.transactions.datastore_double import Server
from tests.unit.engine.doubles import Passing


class Order(ndb.Model):
    pass


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv("DATASTORE_EMULATOR_HOST", f"127.0.0.1:{server.port}")
    return ndb.Client(project="shop", credentials=AnonymousCredentials())


@pytest.fixture
def context(client):
    adapter.attach()
    with client.context() as made:
        yield made
    adapter.detach()


class InContext(Passing):
    """An outbox whose methods find ndb's context in whichever thread they are called."""

    def __init__(self, target, client):
        super().__init__(target)
        self._client = client

    def __getattr__(self, name):
        method = getattr(self._target, name)

        def call(*arguments):
            if ndb.get_context(raise_context_error=False) is not None:
                return method(*arguments)
            with self._client.context():
                return method(*arguments)

        return call


class TestContract(OutboxContract):
    @pytest.fixture
    def box(self, client):
        def write(tasks, *, fails):
            def work():
                for task in tasks:
                    for entity in adapter._entities(task, NOW_US):
                        entity.put()
                if fails:
                    raise RuntimeError("rolled back")

            with client.context():
                if not fails:
                    ndb.transaction(work)
                    return
                with pytest.raises(RuntimeError):
                    ndb.transaction(work)

        return Box(
            InContext(adapter.DatastoreRows(), client),
            lambda tasks: write(tasks, fails=False),
            lambda tasks: write(tasks, fails=True),
        )


def urls(tasks):
    return [task.url for task in tasks.list("default")]


def test_tasks_come_with_the_commit(context, tasks, server):
    def work():
        Order(id="one").put()
        taskqueue.add(url="/one", transactional=True)
        deferred.defer(len, bytes(2_000_000), _transactional=True)
        taskqueue.Queue("pull").add(taskqueue.Task(b"\x00" * 1_000_000, method="PULL"), transactional=True)
        assert tasks.list() == []

    ndb.transaction(work)
    assert urls(tasks) == ["/one", "/_ah/queue/deferred"]
    assert len(taskqueue.Queue("pull").lease_tasks(60, 9)[0].payload) == 1_000_000
    assert deferred.run(tasks.list("default")[1].payload) is None  # its payload is in the ledger
    assert server.datastore.names() == ["Order"]


def test_a_rollback_drops_them(context, tasks, server):
    def work():
        Order(id="one").put()
        taskqueue.add(url="/one", transactional=True)
        raise RuntimeError("out of the transaction")

    with pytest.raises(RuntimeError):
        ndb.transaction(work)
    assert (tasks.list(), server.datastore.names()) == ([], [])


def test_outside_of_a_transaction(context, tasks):
    with pytest.raises(taskqueue.BadTransactionStateError):
        taskqueue.add(url="/one", transactional=True)


def test_five_tasks_in_a_transaction(context, tasks):
    def work():
        for number in range(5):
            taskqueue.add(url=f"/{number}", transactional=True)
        with pytest.raises(taskqueue.DatastoreError):
            taskqueue.add(url="/5", transactional=True)
        with pytest.raises((taskqueue.InvalidTaskNameError, taskqueue.DatastoreError)):
            taskqueue.add(url="/5", name="n", transactional=True)

    ndb.transaction(work)
    assert urls(tasks) == [f"/{number}" for number in range(5)]


def test_in_a_transactional_tasklet(context, tasks):
    @ndb.transactional_tasklet()
    def work():
        yield Order(id="one").put_async()
        taskqueue.add(url="/one", transactional=True)

    work().get_result()
    assert urls(tasks) == ["/one"]


def test_what_could_not_be_enqueued_stays_and_is_not_overtaken(context, tasks, server, monkeypatch):
    class Away(Passing):
        def publish(self, messages, _):
            return [errors.BrokerUnavailableError("down") for _ in messages]

    with monkeypatch.context() as patch:
        patch.setattr(tasks.runtime.enqueuer, "_broker", Away(tasks.runtime.broker))
        ndb.transaction(lambda: taskqueue.add(url="/one", transactional=True))
        with pytest.raises(errors.BrokerUnavailableError):
            adapter.relay()
    assert tasks.list() == []
    assert server.datastore.names() == ["GaeBrokerOutboxTask"]
    ndb.transaction(lambda: taskqueue.add(url="/two", transactional=True))
    assert urls(tasks) == ["/one", "/two"]
    assert adapter.relay() == 0


def test_a_commit_that_fails_enqueues_nothing(context, tasks, server):
    server.datastore.fails = PermissionError("no")
    with pytest.raises(Exception, match="no"):
        ndb.transaction(lambda: taskqueue.add(url="/one", transactional=True), retries=0)
    assert tasks.list() == []
