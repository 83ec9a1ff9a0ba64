"""kill -9 between commit and relay: the tasks are enqueued all the same, by whoever relays next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from gae_broker import taskqueue
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
QUEUE_YAML = "queue:\n- name: default\n- name: pull\n  mode: pull\n"


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "queue.yaml").write_text(QUEUE_YAML)
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
        "GAE_BROKER_URL": f"embedded:///{tmp_path}/tasks.db",
        "GAE_BROKER_QUEUE_YAML": str(tmp_path / "queue.yaml"),
    }


@pytest.fixture
def run(environment, tmp_path):
    def python(*words, **more):
        return subprocess.run(
            [sys.executable, "-m", *words],
            check=False,
            cwd=tmp_path,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return python


def enqueued(environment):
    settings = Settings(url=environment["GAE_BROKER_URL"], queue_yaml=environment["GAE_BROKER_QUEUE_YAML"])
    with Runtime.open(settings) as runtime, using(runtime):
        pushed = runtime.browser.tasks("default", 9)
        leased = taskqueue.Queue("pull").lease_tasks(60, 9)
        payloads = [runtime.payloads.fetch(key) for key in _keys(pushed)]
    return [copy.content.url for copy in pushed], [len(task.payload) for task in leased], payloads


def _keys(copies):
    import pickle  # noqa: PLC0415

    return [pickle.loads(copy.content.payload)[1][0] for copy in copies if copy.content.url.startswith("/_ah")]


def check(environment):
    pushed, pulled, payloads = enqueued(environment)
    assert pushed == ["/first", "/_ah/queue/deferred"]
    assert pulled == [900_000]
    assert [len(payload) > 500_000 for payload in payloads] == [True]


def test_an_application_with_sqlalchemy(database_url, environment, run):
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS facts"))
        connection.execute(sa.text("CREATE TABLE facts (fact VARCHAR(20))"))
    died = run("tests.integration.transactions.dying", "sqlalchemy", database_url)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT fact FROM facts")).scalars().all() == ["committed"]
    engine.dispose()
    assert enqueued(environment) == ([], [], [])
    relayed = run("gae_broker", "relay", "--once", GAE_BROKER_OUTBOX=database_url)
    assert (relayed.returncode, "3 tasks enqueued" in relayed.stderr) == (0, True), relayed.stderr
    check(environment)
    again = run("gae_broker", "relay", "--once", "--outbox", database_url)
    assert (again.returncode, "0 tasks enqueued" in again.stderr) == (0, True), again.stderr


def test_an_application_with_django(database_url, environment, run):
    project = {"DJANGO_SETTINGS_MODULE": "tests.integration.transactions.django_settings", "APP_DATABASE": database_url}
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS gae_broker_outbox"))
    engine.dispose()
    migrated = run("django", "migrate", **project)
    assert migrated.returncode == 0, migrated.stderr
    died = run("tests.integration.transactions.dying", "django", **project)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert enqueued(environment) == ([], [], [])
    relayed = run("django", "relay_tasks", "--once", **project)
    assert (relayed.returncode, "3 tasks enqueued" in relayed.stderr) == (0, True), relayed.stderr
    check(environment)
    # The table is the same whoever made it, and so is what a relay does.
    died = run("tests.integration.transactions.dying", "django", **project)
    assert died.returncode == -signal.SIGKILL, died.stderr
    relayed = run("gae_broker", "relay", "--once", "--outbox", database_url)
    assert (relayed.returncode, "3 tasks enqueued" in relayed.stderr) == (0, True), relayed.stderr


@pytest.fixture
def left_behind(environment, run, tmp_path):
    """A database in which a killed application left three tasks."""
    url = f"sqlite:///{tmp_path}/app.db"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE facts (fact VARCHAR(20))"))
    engine.dispose()
    died = run("tests.integration.transactions.dying", "sqlalchemy", url)
    assert died.returncode == -signal.SIGKILL, died.stderr
    return url


def test_a_dispatcher_relays_beside_its_own_work_and_check_tells_what_waits(environment, left_behind, tmp_path):
    def waiting():
        told = subprocess.run(
            [sys.executable, "-m", "gae_broker", "check", "--format", "json"],
            check=False,
            cwd=tmp_path,
            env=environment | {"GAE_BROKER_OUTBOX": left_behind},
            capture_output=True,
            text=True,
        )
        return next(one["text"] for one in json.loads(told.stdout)["checks"] if one["name"] == "outbox")

    assert waiting().startswith("3 tasks wait in ")
    words = ["dispatch", "--outbox", left_behind, "--target", "default=http://127.0.0.1:9"]
    dispatcher = subprocess.Popen(
        [sys.executable, "-m", "gae_broker", *words], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        deadline_s = time.monotonic() + 60
        while not waiting().startswith("0 tasks"):
            assert dispatcher.poll() is None
            assert time.monotonic() < deadline_s
    finally:
        dispatcher.terminate()
        dispatcher.wait()
    check(environment)


@pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True)
def test_what_a_killed_application_left_goes_to_rabbitmq(environment, left_behind, rabbitmq_url, run, tmp_path):
    there = {"GAE_BROKER_URL": rabbitmq_url, "GAE_BROKER_LEDGER": f"sqlite:///{tmp_path}/ledger.db"}
    relayed = run("gae_broker", "relay", "--once", "--outbox", left_behind, **there)
    assert (relayed.returncode, "3 tasks enqueued" in relayed.stderr) == (0, True), relayed.stderr
    settings = Settings(url=rabbitmq_url, ledger=there["GAE_BROKER_LEDGER"], queue_yaml=str(tmp_path / "queue.yaml"))
    with Runtime.open(settings) as runtime, using(runtime):
        assert [len(task.payload) for task in taskqueue.Queue("pull").lease_tasks(60, 9)] == [900_000]
        assert taskqueue.Queue("default").fetch_statistics().tasks == 2


def test_relaying_needs_an_outbox(run):
    assert run("gae_broker", "relay").returncode == 4
    assert run("gae_broker", "relay", "--once", "--outbox", "sqlite://").returncode == 4
    assert run("gae_broker", "relay", "--once", "--outbox", "sqlite:////nonexistent/app.db").returncode == 3
