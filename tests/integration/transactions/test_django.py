"""``transactional=True`` in Django's transactions, on databases that are added to the tests' project."""

from __future__ import annotations

import django
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase

from gae_broker import deferred, errors, taskqueue
from gae_broker.testing.contracts.outbox import NOW_US, Box, OutboxContract
from gae_broker_adapters.django import outbox
from gae_broker_adapters.django.rows import DjangoRows
from tests.integration.transactions.django_settings import database
from tests.unit.engine.doubles import Passing


@pytest.fixture(scope="session", autouse=True)
def project():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SETTINGS_MODULE", "tests.apps.django_site.settings")
        django.setup()
        yield


def added(alias, url):
    """A database of the project, with the outbox in it."""
    connections.databases[alias] = {**connections.databases["default"], **database(url)}
    call_command("migrate", database=alias, verbosity=0)
    return alias


def removed(alias):
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS gae_broker_outbox, django_migrations")
    connections[alias].close()
    del connections.databases[alias]
    del connections[alias]


@pytest.fixture
def app(database_url):
    yield added("app", database_url)
    removed("app")


@pytest.fixture
def other(tmp_path):
    yield added("other", f"sqlite:///{tmp_path}/other.db")
    removed("other")


def add(url="/work", **options):
    return taskqueue.add(url=url, transactional=True, **options)


def urls(tasks):
    return [task.url for task in tasks.list("default")]


class ClosingItsThreads(Passing):
    """Rows that leave no connection behind in the threads they are used in."""

    def __getattr__(self, name):
        method = getattr(self._target, name)

        def call(*arguments):
            try:
                return method(*arguments)
            finally:
                self._target.close()

        return call


class TestContract(OutboxContract):
    @pytest.fixture
    def box(self, app):
        rows = DjangoRows(app)

        def write(tasks, *, keep):
            with transaction.atomic(using=app):
                rows.insert(tasks, NOW_US)
                transaction.set_rollback(not keep, using=app)

        return Box(
            ClosingItsThreads(rows),
            lambda tasks: write(tasks, keep=True),
            lambda tasks: write(tasks, keep=False),
        )


def test_tasks_come_with_the_commit(app, tasks):
    with transaction.atomic(using=app):
        task = add("/one")
        deferred.defer(len, bytes(3_000_000), _transactional=True)
        assert task.was_enqueued
        assert urls(tasks) == []
    assert urls(tasks) == ["/one", "/_ah/queue/deferred"]
    assert tasks.list("default")[0].name == task.name


def test_rollbacks_and_savepoints(app, tasks):
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=app):
        add(f"/{add() and 1 // 0}")
    with transaction.atomic(using=app):
        add("/outer")
        with transaction.atomic(using=app):
            add("/kept")
        with pytest.raises(ZeroDivisionError), transaction.atomic(using=app):
            add(f"/{add('/dropped') and 1 // 0}")
        add("/last")
        assert urls(tasks) == []
    assert urls(tasks) == ["/outer", "/kept", "/last"]


def test_outside_of_a_transaction(app, tasks):
    with pytest.raises(taskqueue.BadTransactionStateError):
        add()
    with transaction.atomic(using=app):
        pass
    with pytest.raises(taskqueue.BadTransactionStateError):
        add()


def test_five_tasks_in_a_transaction_and_those_rolled_back_do_not_count(app, tasks):
    @transaction.atomic(using=app)  # one object for all calls of the function
    def work():
        for number in range(3):
            add(f"/{number}")
        with transaction.atomic(using=app):
            add()
            add()
            with pytest.raises(taskqueue.DatastoreError, match="maximum allowed 5"):
                add()
            transaction.set_rollback(True, using=app)
        add("/3")
        with pytest.raises(taskqueue.InvalidTaskNameError):
            add(name="mine")

    work()
    work()
    assert urls(tasks) == ["/0", "/1", "/2", "/3"] * 2


def test_of_several_databases_one_is_named(app, other, tasks):
    with transaction.atomic(using=app), transaction.atomic(using=other):
        with pytest.raises(taskqueue.BadTransactionStateError, match="several databases"):
            add()
        with outbox.within(other):
            add("/other")
    assert urls(tasks) == ["/other"]
    with transaction.atomic(using=other):
        add("/alone")
        with outbox.within(app), pytest.raises(taskqueue.BadTransactionStateError):
            add()
    assert urls(tasks) == ["/other", "/alone"]


def test_of_several_databases_one_is_routed_to(app, other, tasks, monkeypatch):
    class Router:
        def db_for_write(self, model, **_):
            return other if model._meta.app_label == "gae_broker" else None

    monkeypatch.setattr("django.db.router.routers", [Router()])
    with transaction.atomic(using=app), transaction.atomic(using=other):
        add("/routed")
    assert urls(tasks) == ["/routed"]


def test_a_broken_transaction_takes_no_tasks(app, tasks):
    def fail():
        raise IntegrityError("made up")

    with transaction.atomic(using=app):
        with pytest.raises(IntegrityError), transaction.atomic(using=app, savepoint=False):
            fail()
        with pytest.raises(taskqueue.BadTransactionStateError):
            add()
    assert urls(tasks) == []


def test_without_the_table(app, tasks):
    call_command("migrate", "gae_broker", "zero", database=app, verbosity=0)
    with transaction.atomic(using=app):
        with pytest.raises(taskqueue.DatastoreError, match="migrate --database app"):
            add()
        transaction.set_rollback(True, using=app)
    call_command("migrate", database=app, verbosity=0)


def test_while_the_broker_is_away_commits_go_on_and_nothing_overtakes(app, tasks, monkeypatch):
    class Away(Passing):
        def publish(self, messages, _):
            return [errors.BrokerUnavailableError("down") for _ in messages]

    with monkeypatch.context() as patch:
        patch.setattr(tasks.runtime.enqueuer, "_broker", Away(tasks.runtime.broker))
        with transaction.atomic(using=app):
            add("/one")
        with pytest.raises(errors.BrokerUnavailableError):
            outbox.relay(app)
    assert urls(tasks) == []
    with transaction.atomic(using=app):
        add("/two")
    assert urls(tasks) == ["/one", "/two"]
    assert outbox.relay(app) == 0


def test_the_migration_makes_what_the_models_say(project):
    call_command("makemigrations", "gae_broker", check=True, dry_run=True, verbosity=0)


def test_in_djangos_own_test_case(project, tasks):
    class Case(TestCase):
        def runTest(self):  # noqa: N802 - unittest's name
            with pytest.raises(taskqueue.BadTransactionStateError):
                add()  # the case's own transaction is nobody's
            for number in range(3):
                with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
                    add(f"/{number}")
                    add(f"/{number}/more")

    call_command("migrate", verbosity=0)
    try:
        result = Case().run()
        assert not [text for _, text in (*result.failures, *result.errors)]
        assert urls(tasks) == [f"/{number}{more}" for number in range(3) for more in ("", "/more")]
    finally:
        connection.close()
