"""Attaching engines of every kind, and relaying from them."""

from __future__ import annotations

import os
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from gae_broker import errors, taskqueue
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings
from gae_broker_adapters.sqlalchemy import outbox
from tests.integration.transactions.conftest import Base, Order, add, rows, until, urls


def test_an_outbox_that_only_writes(engine, tasks):
    outbox.detach(engine)
    attached = outbox.attach(engine, relays=False)
    assert outbox.attach(engine) is attached
    with Session(engine) as session, session.begin():
        add("/session")
    with engine.begin() as connection:
        connection.execute(sa.select(Order))
        add("/connection")
    assert (urls(tasks), rows(engine)) == ([], 2)
    assert attached.relay().tasks == 2
    assert urls(tasks) == ["/session", "/connection"]


def test_relay_tells_of_a_task_that_was_refused(engine, tasks, broker_is_away):
    outbox.detach(engine)
    outbox.attach(engine, relays=False)
    with Session(engine) as session, session.begin():
        add()
    with pytest.raises(errors.BrokerUnavailableError, match="down"):
        outbox.relay()
    broker_is_away.undo()
    assert outbox.relay() == 1


def test_without_the_table(engine, tasks):
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE gae_broker_outbox"))
    with Session(engine) as session:
        session.begin()
        with pytest.raises(taskqueue.DatastoreError, match=r"outbox\.attach"):
            add()
        session.rollback()
    with pytest.raises(errors.OutboxUnavailableError):
        outbox.relay()
    outbox.detach(engine)
    outbox.attach(engine)
    with Session(engine) as session, session.begin():
        add()
    assert urls(tasks) == ["/work"]


def test_what_can_be_attached(engine, tasks):
    maker = sessionmaker(engine)
    scoped = scoped_session(maker)
    assert outbox.attach(maker) is outbox.attach(scoped) is outbox.attach(engine)
    with maker.begin():
        add("/maker")
    scoped.begin()
    add("/scoped")
    scoped.commit()
    scoped.remove()
    with engine.execution_options(logging_token="x").begin() as connection:
        connection.execute(sa.text("SELECT 1"))
        add("/options")
    until(lambda: urls(tasks) == ["/maker", "/scoped", "/options"])
    with pytest.raises(errors.SettingsError, match="expected an Engine"):
        outbox.attach(sessionmaker())


def test_sessions_with_a_bind_for_each_mapper(engine, tasks):
    maker = sessionmaker(binds={Base: engine})
    with maker() as session:
        session.execute(sa.select(Order))
        add()
        session.commit()
    assert urls(tasks) == ["/work"]


def test_a_database_in_memory(tasks):
    memory = sa.create_engine("sqlite://")
    outbox.attach(memory)
    try:
        with Session(memory) as session, session.begin():
            add("/session")
        assert urls(tasks) == ["/session"]
        with memory.begin() as connection:
            connection.execute(sa.text("SELECT 1"))
            add("/connection")
        assert outbox.relay() == 1
        assert urls(tasks) == ["/session", "/connection"]
    finally:
        outbox.detach(memory)
        memory.dispose()


def test_the_smallest_pool_is_enough(database_url, engine, tasks):
    small = sa.create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=30)
    outbox.attach(small)
    try:
        with Session(small) as session, session.begin():
            add("/session")
        with small.begin() as connection:
            connection.execute(sa.text("SELECT 1"))
            add("/connection")
        until(lambda: urls(tasks) == ["/session", "/connection"])
    finally:
        outbox.detach(small)
        small.dispose()


def test_the_table_can_be_the_applications_own_to_make(database_url, tasks):
    metadata = sa.MetaData()
    made = sa.create_engine(database_url)
    attached = outbox.attach(made, metadata=metadata, create=False)
    try:
        assert metadata.tables["gae_broker_outbox"] is attached.table
        assert not sa.inspect(made).has_table("gae_broker_outbox")
        metadata.create_all(made)
        with Session(made) as session, session.begin():
            add()
        assert urls(tasks) == ["/work"]
    finally:
        outbox.detach(made)
        metadata.drop_all(made)
        made.dispose()


def test_many_threads_at_once(engine, tasks):
    def commit(number):
        for turn in range(5):
            with Session(engine) as session, session.begin():
                add(f"/{number}/{turn}")

    if engine.dialect.name == "sqlite":
        pytest.skip("its writers wait for each other for five seconds at most")
    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: rows(engine) == 0)
    found = urls(tasks)
    assert len(found) == len(set(found)) == 40
    for number in range(8):
        own = [url for url in found if url.startswith(f"/{number}/")]
        assert own == sorted(own)


def test_a_forked_child_commits_and_relays_too(engine, tmp_path):
    settings = Settings(url=f"embedded:///{tmp_path}/tasks.db", queue_yaml=f"{tmp_path}/queue.yaml")
    with Runtime.open(settings) as runtime, using(runtime):
        with Session(engine) as session, session.begin():
            add("/parent")  # from now on there is a thread, which the child has not
        if os.fork() == 0:
            try:
                engine.dispose(close=False)  # as SQLAlchemy asks of forked children
                with using(runtime), Session(engine) as session, session.begin():
                    add("/child")
            finally:
                os._exit(0)
        os.wait()
        assert [copy.content.url for copy in runtime.browser.tasks("default", 9)] == ["/parent", "/child"]
    assert rows(engine) == 0
