"""What each framework's integration lets pass, and how: the same cases through Flask and Django."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gae_broker import deferred
from gae_broker.domain import keyring
from gae_broker.engine import runtime
from gae_broker.engine.runtime import Runtime
from gae_broker.errors import SettingsError
from gae_broker.settings import Settings
from gae_broker.testing.bench import TaskBench
from gae_broker_adapters.current_task import current_task
from tests.integration.forging import KEYS, on_the_wire, signed
from tests.unit.adapters.through import HEADERS, REQUEST, TASK
from tests.unit.deferred import callables
from tests.unit.frameworks.seen import SEEN

FRONTS = ["flask", "django-wsgi", "django-asgi"]


@pytest.fixture(params=FRONTS)
def front(request, front_of):
    return front_of(request.param, signing_keys=KEYS, signed_paths="/tasks")


@pytest.fixture
def keys():
    """The application defers with the keys that its requests are signed with."""
    settings = Settings(url="embedded://", ledger="sqlite://", signing_keys=keyring.parse(KEYS))
    with Runtime.open(settings) as opened, runtime.using(opened):
        callables.calls.clear()
        yield


def sees():
    (seen,) = SEEN
    SEEN.clear()
    return seen


def test_a_signed_request_is_as_on_app_engine(front):
    assert front.send(signed(REQUEST)) == (200, b"ok")
    seen = sees()
    assert (seen.body, seen.remote, seen.path) == (b"abc", "0.1.0.2", "/work")
    assert {seen.current, *seen.tasks} == {TASK}
    assert seen.headers["x-appengine-user-ip"] == "0.1.0.2"
    assert current_task() is None


def test_a_strangers_request_loses_what_it_must_not_say(front):
    forged = (("X_AppEngine_Cron", "1"), ("x-appengine-USER-ip", "0.1.0.2"), ("X-Mine", "1"))
    wire = on_the_wire(replace(REQUEST, headers=(*HEADERS, *forged)))
    assert front.send(wire, **front.from_address("10.0.0.1")) == (200, b"ok")
    seen = sees()
    assert (seen.reserved, seen.headers["x-mine"], seen.body, seen.remote) == ([], "1", b"abc", "10.0.0.1")
    assert {seen.current, *seen.tasks} == {None}


@pytest.mark.parametrize("url", ["/_ah/queue/default", "/_ah/queue/deferred", "/tasks/a", "/x/../_ah/queue/default"])
def test_paths_that_only_the_dispatcher_may_ask_for(front, url):
    assert front.send(on_the_wire(replace(REQUEST, url=url)))[0] == 403
    assert not SEEN


def test_altered_expired_and_repeated_requests_reach_nobody(front, caplog):
    wire = signed(REQUEST)
    assert front.send(replace(wire, body=b"abd"))[0] == 403
    assert front.send(replace(wire, target=b"/work?x=2"))[0] == 403
    assert front.send(signed(REQUEST, shift_us=-301_000_000))[0] == 403
    assert not SEEN
    assert front.send(wire)[0] == 200
    assert front.send(wire) == (403, b"This is not taken for a request of the task queue: it was received before.\n")
    assert len(SEEN) == 1
    assert "refused a request for '/work' from 127.0.0.1: it was received before" in caplog.text
    assert "abc" not in caplog.text


def deferred_request(call, *args):
    body = deferred.serialize(call, *args)
    headers = (*HEADERS[:-2], ("Content-Length", str(len(body))), ("Content-Type", "application/octet-stream"))
    return replace(REQUEST, url="/_ah/queue/deferred", body=body, headers=headers)


def tell_task():
    callables.calls.append(current_task())


def test_deferred_calls_are_served(front, keys):
    assert front.send(signed(deferred_request(callables.record, 1))) == (200, b"Success")
    assert front.send(signed(deferred_request(tell_task))) == (200, b"Success")
    assert front.send(on_the_wire(deferred_request(callables.record, 2)))[0] == 403
    assert not SEEN
    front.send(signed(replace(deferred_request(callables.record, 3), method="PUT")))
    assert callables.calls == [((1,), {}), TASK]


def test_a_deferred_payload_that_was_altered_is_not_made(front, keys):
    request = deferred_request(callables.record, 1)
    altered = replace(request, body=request.body.replace(b"key=new", b"key=old"))
    assert front.send(signed(altered)) == (200, b"PermanentTaskFailure")
    assert callables.calls == []


def test_what_a_deferred_call_raises_is_the_frameworks_to_answer(front, keys, caplog):
    assert front.send(signed(deferred_request(callables.fail)))[0] == 500
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["flask", "django-wsgi", "django-asgi"])
def test_tasks_of_a_test_run_into_it(front_of, name):
    front = front_of(name)
    callables.calls.clear()
    with TaskBench({"default": {"retry_parameters": {"task_retry_limit": 1}}}, app=front.app) as tasks:
        tasks.add(url="/work", params={"a": "b"})
        deferred.defer(callables.record, 1)
        assert [run.status for run in tasks.run_pending()] == [200, 200]
        assert (sees().body, callables.calls) == (b"a=b", [((1,), {})])
        deferred.defer(callables.fail)
        assert [(run.status, run.done) for run in tasks.run_all()] == [(500, False), (500, False)]


@pytest.mark.parametrize("name", FRONTS)
def test_its_configuration_is_the_process_settings(front_of, name, monkeypatch):
    front_of(name, prefix="mine", drain_timeout="7s")
    found = runtime.settings()
    assert (found.prefix, found.drain_timeout_s) == ("mine", 7.0)
    source = "app.config['GAE_BROKER_PREFIX']" if name == "flask" else "GAE_BROKER in the Django settings"
    assert found.source("prefix") == source
    monkeypatch.setenv("GAE_BROKER_PREFIX", "stronger")
    assert Settings.load().prefix == "stronger"


@pytest.mark.parametrize("name", FRONTS)
def test_a_setting_that_cannot_be_used_is_named_with_its_place(front_of, name):
    place = r"app\.config\['GAE_BROKER_PREFIX'\]" if name == "flask" else "GAE_BROKER in the Django settings"
    with pytest.raises(Exception, match=rf"prefix \(from {place}\): found '\?', expected 1 to 40 letters") as raised:
        front_of(name, prefix="?")
    assert isinstance(raised.value, SettingsError) or type(raised.value).__name__ == "ImproperlyConfigured"


@pytest.mark.parametrize("name", FRONTS)
def test_a_setting_that_is_none_is_an_error(front_of, name):
    with pytest.raises(Exception, match=r"(?i)did you mean '?\w*signing_keys'?\?"):
        front_of(name, signing_key=KEYS)
