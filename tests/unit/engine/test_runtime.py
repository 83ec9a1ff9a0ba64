from __future__ import annotations

import os
import signal
import threading

import pytest

from gae_broker import errors
from gae_broker.domain.queue import QueueFile
from gae_broker.domain.task import PULL, Content
from gae_broker.engine import runtime as runtimes
from gae_broker.engine.enqueue import NewTask
from gae_broker.engine.runtime import Runtime, SystemClock
from gae_broker.settings import Settings

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture(autouse=True)
def nothing_in_use():
    previous = runtimes.use(None)
    yield
    runtimes.reset()
    runtimes.use(previous)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "queue.yaml").write_text("queue:\n- name: pull\n  mode: pull\n")
    return Settings(url=f"embedded:///{tmp_path}/broker.db", queue_yaml=str(tmp_path / "queue.yaml"))


@pytest.fixture
def environment(monkeypatch, settings, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAE_BROKER_URL", settings.url)
    monkeypatch.setenv("GAE_BROKER_QUEUE_YAML", settings.queue_yaml)


def add(runtime, name=""):
    (added,) = runtime.enqueuer.add("pull", [NewTask(Content(name, PULL), 0)])
    assert added.error is None
    return added.name


def test_two_runtimes_on_one_file_see_each_other(settings):
    with Runtime.open(settings) as first, Runtime.open(settings) as second:
        name = add(first, "n")
        assert [copy.name for copy in second.leaser.lease("pull", 10**9, 10)] == [name]
        assert first.leaser.lease("pull", 10**9, 10) == []


def test_tasks_survive_a_close(settings):
    with Runtime.open(settings) as runtime:
        add(runtime, "n")
        runtime.close()
    with Runtime.open(settings) as runtime:
        assert runtime.statistician.fetch("pull").tasks == 1


def test_a_runtime_that_cannot_be_opened_leaves_nothing_open(settings, tmp_path):
    (tmp_path / "queue.yaml").write_text("queue: 3\n")
    with pytest.raises(errors.QueueYamlError):
        Runtime.open(settings)
    (tmp_path / "queue.yaml").unlink()
    with Runtime.open(settings) as runtime:
        assert [queue.name for queue in runtime.catalog.queues()] == ["default"]


def test_given_queues_replace_the_file_s(settings):
    with Runtime.open(settings, queues=QueueFile()) as runtime, pytest.raises(errors.UnknownQueueError):
        runtime.catalog.get("pull")


def test_all_names_valid(settings):
    with Runtime.open(settings, all_valid=True) as runtime:
        (added,) = runtime.enqueuer.add("anything", [NewTask(Content("n", url="/"), 0)])
        assert (added.name, runtime.statistician.fetch("anything").tasks) == ("n", 1)


def test_current_is_opened_once_however_many_threads_ask(environment):
    barrier = threading.Barrier(8)
    seen = []

    def ask():
        barrier.wait()
        seen.append(runtimes.current())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(runtime) for runtime in seen}) == 1
    assert runtimes.current() is seen[0]


def test_current_that_fails_is_tried_again(environment, monkeypatch, settings):
    monkeypatch.setenv("GAE_BROKER_URL", "nothing://")
    with pytest.raises(errors.SettingsError):
        runtimes.current()
    monkeypatch.setenv("GAE_BROKER_URL", settings.url)
    assert runtimes.current().settings.url == settings.url


def test_use_and_using_give_way_and_come_back(settings):
    with Runtime.open(settings) as one, Runtime.open(settings) as two:
        assert runtimes.use(one) is None
        with runtimes.using(two) as used:
            assert runtimes.current() is used is two
        assert runtimes.current() is one
        with pytest.raises(ZeroDivisionError), runtimes.using(two):
            raise ZeroDivisionError
        assert runtimes.use(None) is one


def test_reset_closes_what_was_in_use(environment):
    first = runtimes.current()
    runtimes.reset()
    assert runtimes.current() is not first
    runtimes.reset()
    runtimes.reset()


def test_the_executor_s_threads_end_with_the_runtime(settings):
    runtime = Runtime.open(settings)
    assert runtime.executor is runtime.executor
    future = runtime.executor.submit(threading.current_thread)
    thread = future.result()
    runtime.close()
    assert not thread.is_alive()


def test_the_system_s_clock():
    before = SystemClock().now_us()
    assert 1_600_000_000_000_000 < before <= SystemClock().now_us() < 10**17


@FORKS
def test_a_forked_child_opens_its_own_runtime_and_leaves_the_parent_s_open(environment):
    parent = runtimes.current()
    add(parent, "before")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = b"failed"
        try:
            child = runtimes.current()
            name = add(child, "from-child")
            answer = b"ok" if child is not parent and name else b"same"
            runtimes.reset()
        finally:
            os.write(write, answer)
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"ok"
    assert os.waitpid(pid, 0)[1] == 0
    assert runtimes.current() is parent
    assert {copy.name for copy in parent.leaser.lease("pull", 10**9, 10)} == {"before", "from-child"}


@FORKS
def test_a_forked_child_of_one_that_was_given_a_runtime_uses_the_same_settings(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("GAE_BROKER_URL", f"embedded:///{tmp_path}/another.db")
    with Runtime.open(settings) as given, runtimes.using(given):
        pid = os.fork()
        if not pid:
            is_same = False
            try:
                is_same = runtimes.current() is not given and runtimes.current().settings == settings
            finally:
                os._exit(not is_same)
        assert os.waitpid(pid, 0)[1] == 0


@FORKS
def test_a_fork_while_another_thread_is_opening_does_not_leave_the_child_locked(environment):
    children = []
    ended = threading.Event()

    def fork():
        pid = os.fork()
        if pid == 0:
            try:
                add(runtimes.current(), "n")
            finally:
                os._exit(0)
        children.append(pid)
        os.waitpid(pid, 0)
        ended.set()

    with runtimes._slot.lock:
        runtimes._slot.watch_forks()
        thread = threading.Thread(target=fork)
        thread.start()
        in_time = ended.wait(60)
        if not in_time:
            os.kill(children[0], signal.SIGKILL)
        thread.join()
    assert in_time, "the child waits for a lock that its parent holds"
    assert runtimes.current().statistician.fetch("pull").tasks == 1
