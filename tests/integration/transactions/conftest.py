"""Databases of an application, and a task queue to enqueue into."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gae_broker import errors, taskqueue
from gae_broker.domain.queue import Mode, Queue, QueueFile
from gae_broker.testing.bench import TaskBench
from gae_broker_adapters.sqlalchemy import outbox
from tests.unit.engine.doubles import Passing

QUEUES = QueueFile(queues={"default": Queue("default"), "pull": Queue("pull", mode=Mode.PULL)})


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def tasks():
    with TaskBench(QUEUES) as bench:
        yield bench


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    return f"sqlite:///{tmp_path}/app.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


@pytest.fixture
def engine(database_url):
    """An attached engine with one table of the application's own."""
    made = sa.create_engine(database_url)
    begin_as_documented(made)
    outbox.attach(made)
    Base.metadata.create_all(made)
    yield made
    outbox.detach(made)
    Base.metadata.drop_all(made)
    with made.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS gae_broker_outbox"))
    made.dispose()


def begin_as_documented(engine):
    """SQLAlchemy's recipe for savepoints in SQLite: the driver itself begins too late."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


def add(url="/work", **options):
    return taskqueue.add(url=url, transactional=True, **options)


def urls(tasks):
    return [task.url for task in tasks.list("default")]


def rows(engine):
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT count(*) FROM gae_broker_outbox")).scalar_one()


def until(condition):
    """Wait for another thread, without a bound of our own: the test run has one."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.01)


class Refuses(Passing):
    """A broker that is away."""

    def publish(self, messages, _):
        return [errors.BrokerUnavailableError("down") for _ in messages]


@pytest.fixture
def broker_is_away(tasks, monkeypatch):
    monkeypatch.setattr(tasks.runtime.enqueuer, "_broker", Refuses(tasks.runtime.broker))
    return monkeypatch
