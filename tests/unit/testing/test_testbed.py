"""``testbed.Testbed``: what a test suite written for App Engine does with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gae_broker import taskqueue
from gae_broker.engine import runtime as runtimes
from gae_broker.testing import testbed as module
from gae_broker.testing.environment import DEFAULT_ENVIRONMENT


@pytest.fixture
def testbed() -> Iterator[module.Testbed]:
    testbed = module.Testbed()
    testbed.activate()
    yield testbed
    testbed.deactivate()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFAULT_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def test_activation_sets_the_environment_and_deactivation_restores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_HOST", "kept.example.com")
    before = dict(os.environ)
    testbed = module.Testbed()
    testbed.activate()
    testbed.setup_env(my_variable="x", app_id="shop")
    assert os.environ["SERVER_SOFTWARE"] == "Development/1.0 (testbed)"
    assert os.environ["HTTP_HOST"] == "kept.example.com"
    assert os.environ["MY_VARIABLE"] == "x"
    testbed.setup_env(overwrite=True, http_host="other.example.com")
    assert os.environ["HTTP_HOST"] == "other.example.com"
    testbed.deactivate()
    assert dict(os.environ) == before


def test_a_task_bears_the_testbeds_host(testbed: module.Testbed) -> None:
    testbed.init_taskqueue_stub()
    assert taskqueue.Task(url="/a").headers["Host"] == "testbed.example.com"


@pytest.mark.parametrize("taken_away", [False, True])
def test_without_the_stub_nothing_reaches_a_real_task_queue(testbed: module.Testbed, taken_away: bool) -> None:
    if taken_away:
        testbed.init_taskqueue_stub()
        testbed.init_taskqueue_stub(enable=False)
    assert testbed.get_stub("taskqueue") is None
    task = taskqueue.Task(url="/a")
    with pytest.raises(AssertionError, match='No api proxy found for service "taskqueue"'):
        task.add()


def test_another_initialisation_starts_empty(testbed: module.Testbed) -> None:
    testbed.init_taskqueue_stub()
    taskqueue.add(url="/a", name="n")
    testbed.init_taskqueue_stub()
    taskqueue.add(url="/a", name="n")
    stub = testbed.get_stub("taskqueue")
    assert stub is not None
    assert len(stub.get_filtered_tasks()) == 1


def test_without_queue_yaml_there_is_the_default_queue_alone(
    testbed: module.Testbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "queue.yaml").write_text("queue:\n- name: mail\n  rate: 1/s\n")
    monkeypatch.chdir(tmp_path)
    testbed.init_taskqueue_stub()
    stub = testbed.get_stub("taskqueue")
    assert stub is not None
    assert [queue["name"] for queue in stub.GetQueues()] == ["default"]


def test_the_runtime_that_was_there_is_back() -> None:
    before = runtimes.use(None)
    try:
        outer, inner = module.Testbed(), module.Testbed()
        outer.activate()
        outer.init_taskqueue_stub()
        taskqueue.add(url="/outer")
        inner.activate()
        inner.init_taskqueue_stub()
        taskqueue.add(url="/inner")
        inner.deactivate()
        stub = outer.get_stub("taskqueue")
        assert stub is not None
        assert [task.url for task in stub.get_filtered_tasks()] == ["/outer"]
        taskqueue.add(url="/outer-again")
        outer.deactivate()
        assert runtimes.use(None) is None
    finally:
        runtimes.use(before)


def test_it_must_be_activated() -> None:
    testbed = module.Testbed()
    for call in (testbed.deactivate, testbed.init_taskqueue_stub, lambda: testbed.get_stub("taskqueue")):
        with pytest.raises(module.NotActivatedError, match="not activated"):
            call()
    testbed.activate()
    testbed.deactivate()
    with pytest.raises(module.NotActivatedError):
        testbed.deactivate()


@pytest.mark.parametrize("service", ["memcache", "datastore_v3", "mail", "urlfetch", "user", "app_identity", "search"])
def test_other_services_say_that_they_are_not_here(testbed: module.Testbed, service: str) -> None:
    init = getattr(testbed, f"init_{service}_stub")
    with pytest.raises(module.StubNotSupportedError, match=r"task queue alone.*google\.appengine\.ext\.testbed"):
        init()
    with pytest.raises(module.StubNotSupportedError):
        testbed.get_stub(service)
    init(enable=False)


def test_what_is_no_service_is_an_attribute_error(testbed: module.Testbed) -> None:
    assert not hasattr(testbed, "init_nonsense_stub")


def test_the_datastore_emulator_is_not_here() -> None:
    with pytest.raises(module.StubNotSupportedError, match="emulator"):
        module.Testbed().activate(use_datastore_emulator=True)


def test_all_stubs_are_the_task_queues(testbed: module.Testbed) -> None:
    testbed.init_all_stubs()
    assert testbed.get_stub("taskqueue") is not None
    testbed.init_all_stubs(enable=False)
    assert testbed.get_stub("taskqueue") is None


def test_what_suites_reach_for_beside_the_methods():
    bed = module.Testbed()
    assert not bed._activated
    bed.activate()
    assert bed._activated
    own = module.taskqueue_stub.TaskQueueServiceStub(_all_queues_valid=True)
    bed._register_stub(module.TASKQUEUE_SERVICE_NAME, own)
    taskqueue.add(url="/x", queue_name="any")
    assert bed.get_stub("taskqueue") is own
    assert [task["url"] for task in own.GetTasks("any")] == ["/x"]
    with pytest.raises(module.StubNotSupportedError):
        bed._register_stub(module.MAIL_SERVICE_NAME, own)
    assert set(module.SUPPORTED_SERVICES) < set(module.INIT_STUB_METHOD_NAMES)
    bed.setup_wsgi_env(http_host="a.example.com", http_x_appengine_auth_domain="example.com")
    assert (os.environ["HTTP_HOST"], os.environ["AUTH_DOMAIN"]) == ("a.example.com", "example.com")
    bed.deactivate()
    assert not bed._activated
