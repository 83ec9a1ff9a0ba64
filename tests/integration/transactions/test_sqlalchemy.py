"""``transactional=True`` in the transactions of SQLAlchemy's sessions and connections."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gae_broker import deferred, taskqueue
from gae_broker_adapters.sqlalchemy import outbox
from tests.integration.transactions.conftest import Order, add, rows, until, urls


def test_a_session_takes_tasks_along_and_they_are_enqueued_when_commit_returns(engine, tasks):
    with Session(engine) as session:
        session.add(Order(name="one"))  # nothing is sent to the database yet
        task = add("/one")
        assert (task.was_enqueued, bool(task.name)) == (True, True)
        deferred.defer(print, "two", _transactional=True)
        assert urls(tasks) == []
        session.commit()
        assert urls(tasks) == ["/one", "/_ah/queue/deferred"]
        assert tasks.list()[0].name == task.name
        session.add(Order(name="two"))
        add("/two")
        session.commit()
    assert urls(tasks) == ["/one", "/_ah/queue/deferred", "/two"]
    assert rows(engine) == 0


def test_a_rollback_drops_the_tasks(engine, tasks):
    with Session(engine) as session:
        session.add(Order(name="one"))
        add()
        session.rollback()
        session.execute(sa.select(Order))
        session.commit()
    with pytest.raises(ZeroDivisionError), Session(engine) as session, session.begin():
        add(f"/{add() and 1 // 0}")
    with Session(engine) as session:
        session.execute(sa.select(Order))
        add()  # closed without a commit
    assert (urls(tasks), rows(engine)) == ([], 0)


def test_savepoints_of_a_session(engine, tasks):
    with Session(engine) as session, session.begin():
        add("/outer")
        with session.begin_nested():
            add("/kept")
        assert urls(tasks) == []  # a savepoint's end is no commit
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            add(f"/{add('/dropped') and 1 // 0}")
        nested = session.begin_nested()
        add("/dropped too")
        nested.rollback()
        add("/last")
    assert urls(tasks) == ["/outer", "/kept", "/last"]


def test_a_connection_takes_tasks_along(engine, tasks):
    with engine.begin() as connection:
        connection.execute(sa.insert(Order).values(name="one"))
        add("/one")
        with connection.begin_nested() as savepoint:
            add("/dropped")
            savepoint.rollback()
        add("/two")
        assert urls(tasks) == []
    until(lambda: urls(tasks) == ["/one", "/two"])
    with engine.connect() as connection:
        connection.execute(sa.select(Order))
        add("/never")
        connection.rollback()
        connection.execute(sa.select(Order))
        add("/three")
        connection.commit()
        with connection.begin():  # the next transaction of the same connection
            add("/four")
    until(lambda: urls(tasks) == ["/one", "/two", "/three", "/four"])
    until(lambda: rows(engine) == 0)


def test_outside_of_a_transaction(engine, tasks):
    with pytest.raises(taskqueue.BadTransactionStateError):
        add()
    with Session(engine) as session:
        session.execute(sa.select(Order))
        session.commit()
        with pytest.raises(taskqueue.BadTransactionStateError):
            add()
    with engine.connect(), pytest.raises(taskqueue.BadTransactionStateError):
        add()
    assert urls(tasks) == []


def test_another_engines_transaction_is_none_of_ours(engine, tasks, tmp_path):
    other = sa.create_engine(f"sqlite:///{tmp_path}/other.db")
    with Session(other) as session, other.connect() as connection:
        session.execute(sa.text("SELECT 1"))
        connection.execute(sa.text("SELECT 1"))
        with pytest.raises(taskqueue.BadTransactionStateError):
            add()
        with Session(engine) as own, own.begin():
            add()
    other.dispose()
    assert urls(tasks) == ["/work"]


def test_a_named_task_is_refused_and_the_transaction_goes_on(engine, tasks):
    with Session(engine) as session, session.begin():
        with pytest.raises(taskqueue.InvalidTaskNameError):
            add(name="mine")
        with pytest.raises(taskqueue.UnknownQueueError):
            add(queue_name="nowhere")
        with pytest.raises(taskqueue.InvalidQueueModeError):
            add(queue_name="pull")
        add("/good")
    assert urls(tasks) == ["/good"]


def test_five_tasks_in_a_transaction_and_those_rolled_back_do_not_count(engine, tasks):
    with Session(engine) as session, session.begin():
        for number in range(3):
            add(f"/{number}")
        savepoint = session.begin_nested()
        add()
        add()
        with pytest.raises(taskqueue.DatastoreError, match="Too many messages, maximum allowed 5"):
            add()
        savepoint.rollback()
        taskqueue.Queue().add([taskqueue.Task(url="/3"), taskqueue.Task(url="/4")], transactional=True)
        with pytest.raises(taskqueue.DatastoreError):
            add("/5")
    assert urls(tasks) == ["/0", "/1", "/2", "/3", "/4"]
    with Session(engine) as session, session.begin():
        add("/5")
    assert urls(tasks)[-1] == "/5"


def test_pull_tasks_and_calls_too_large_for_a_task(engine, tasks):
    with Session(engine) as session, session.begin():
        taskqueue.Queue("pull").add(taskqueue.Task(b"\x00" * 1_000_000, method="PULL", tag="t"), transactional=True)
        deferred.defer(len, bytes(3_000_000), _transactional=True)
        assert tasks.list() == []
    (leased,) = taskqueue.Queue("pull").lease_tasks_by_tag(60, 9, "t")
    assert leased.payload == b"\x00" * 1_000_000
    (run,) = tasks.run_pending()
    assert (run.status, run.done) == (200, True)


def test_a_call_too_large_leaves_nothing_behind_where_its_transaction_is_rolled_back(engine, tasks, monkeypatch):
    stored = []
    monkeypatch.setattr(tasks.runtime.ledger, "put_payload", lambda *_: stored.append(1))
    with Session(engine) as session:
        session.begin()
        deferred.defer(len, bytes(3_000_000), _transactional=True)
        session.rollback()
    assert stored == []


def test_who_is_in_two_transactions_must_say_which(engine, tasks):
    with Session(engine) as first, engine.connect() as second:
        first.execute(sa.text("SELECT 1"))
        second.execute(sa.text("SELECT 1"))
        with pytest.raises(taskqueue.BadTransactionStateError, match="2 transactions are under way"):
            add()
        with outbox.within(second):
            add("/second")
        second.commit()
        with outbox.within(first):
            add("/first")
        with outbox.within(second), pytest.raises(taskqueue.BadTransactionStateError, match="no transaction"):
            add()
        first.commit()
    until(lambda: sorted(urls(tasks)) == ["/first", "/second"])


def test_a_transaction_begun_in_another_thread(engine, tasks):
    with Session(engine) as session, session.begin():
        session.execute(sa.text("SELECT 1"))

        def elsewhere():
            with pytest.raises(taskqueue.BadTransactionStateError):
                add()
            if engine.dialect.name != "sqlite":
                with outbox.within(session):
                    add("/there")

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        add("/here")
    assert urls(tasks) == ["/here"] if engine.dialect.name == "sqlite" else ["/there", "/here"]


def test_a_session_within_a_connections_transaction_waits_for_that(engine, tasks):
    with engine.connect() as connection:
        for end, expected in (("rollback", []), ("commit", ["/joined"])):
            outer = connection.begin()
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                session.add(Order(name="joined"))
                add("/joined")
                session.commit()
            assert urls(tasks) == []
            getattr(outer, end)()
            outbox.relay()
            assert urls(tasks) == expected


def test_after_a_failed_flush_the_transaction_takes_no_tasks(engine, tasks):
    with Session(engine) as session:
        session.add(Order(id=1, name="one"))
        session.commit()
        session.add(Order(id=1, name="again"))
        session.expunge_all()
        session.add(Order(id=1, name="again"))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()
        if session.in_transaction():
            with pytest.raises(taskqueue.BadTransactionStateError):
                add()
        session.rollback()
        session.execute(sa.select(Order))
        add("/good")
        session.commit()
    assert urls(tasks) == ["/good"]


def test_while_the_broker_is_away_commits_go_on_and_nothing_overtakes(engine, tasks, broker_is_away):
    for number in range(3):
        with Session(engine) as session, session.begin():
            session.add(Order(name=str(number)))
            add(f"/{number}")
    assert urls(tasks) == []
    with Session(engine) as session:
        assert session.execute(sa.select(sa.func.count()).select_from(Order)).scalar() == 3
    broker_is_away.undo()
    with Session(engine) as session, session.begin():
        add("/3")
    until(lambda: len(urls(tasks)) == 4)  # by the process's own thread, if not by the commit
    assert urls(tasks) == ["/0", "/1", "/2", "/3"]
    until(lambda: rows(engine) == 0)
