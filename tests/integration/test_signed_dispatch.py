"""A dispatcher with keys, and applications behind the middleware: on both brokers, over real servers and in process."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from contextlib import contextmanager

import pytest

from gae_broker import deferred
from gae_broker.domain import keyring
from gae_broker.domain.queue import Queue, QueueFile
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.setting_values import Processes
from gae_broker.engine import runtime as runtimes
from gae_broker.engine.dispatcher import Result
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings
from gae_broker_adapters import asgi, wsgi
from gae_broker_adapters.guard import Guard
from tests.integration.dispatching import FAST, Ground, ground
from tests.integration.forging import KEYS, SETTINGS
from tests.integration.serving import served_asgi, served_wsgi

RING = keyring.parse(KEYS)
SOON = RetryParameters(min_backoff_s=0.01, max_backoff_s=0.01)
QUEUE = Queue("mail", retry=SOON, **FAST)
HANDLERS = {"default": "wsgi+handlers_of_a_test:app"}


class Handlers:
    """An application in both kinds that notes its tasks, and fails each the first time if it is told to."""

    def __init__(self):
        self.tasks = []
        self.bodies = {}
        self.fails_first = False
        self._lock = threading.Lock()

    def note(self, task, body, path):
        with self._lock:
            self.tasks.append(task)
            self.bodies[task.name] = (path, body)
        return 500 if self.fails_first and task.retry_count == 0 else 200

    def wsgi(self, environ, start_response):
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        status = self.note(environ["gae_broker.task"], environ["wsgi.input"].read(), path.encode("latin-1").decode())
        start_response(f"{status} As told", [])
        return [b""]

    async def asgi(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        status = self.note(scope["gae_broker.task"], body, scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def handlers():
    return Handlers()


@pytest.fixture(params=["wsgi", "asgi"])
def base(request, handlers):
    """Where the handlers are served, behind the middleware."""
    if request.param == "wsgi":
        serving = served_wsgi(wsgi.TaskQueueMiddleware(handlers.wsgi, settings=SETTINGS, deferred=True))
    else:
        serving = served_asgi(asgi.TaskQueueMiddleware(handlers.asgi, settings=SETTINGS, deferred=True))
    with serving as url:
        yield url


@contextmanager
def on_rabbitmq(url, tmp_path, **settings):
    made = Settings(url=url, ledger=f"sqlite:///{tmp_path}/ledger.db", prefix=f"s{uuid.uuid4().hex[:8]}", **settings)
    with Runtime.open(made, queues=QueueFile({"mail": QUEUE})) as runtime:
        yield Ground(runtime)


def works(field, handlers, count=40):
    """Each task arrives twice, as its first attempt fails, each time with another signature."""
    handlers.fails_first = True
    names = [f"t{number}" for number in range(count)]
    field.add(*names, queue="mail", url="/_ah/queue/mail?x=%20", payload=b"\x00body", headers=(("X-Mine", "1"),))

    async def scenario(_):
        await field.watcher.attempts(count, result=Result.SUCCESS)

    field.serve(scenario)
    assert sorted(task.name for task in handlers.tasks) == sorted(names * 2)
    assert {task.retry_count for task in handlers.tasks} == {0, 1}
    assert set(handlers.bodies.values()) == {("/_ah/queue/mail", b"\x00body")}


def test_signed_tasks_reach_their_handlers_from_the_embedded_broker(base, handlers):
    with ground(QUEUE, targets={"default": base}, signing_keys=RING) as field:
        works(field, handlers)


@pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True)
def test_signed_tasks_reach_their_handlers_from_rabbitmq(base, handlers, rabbitmq_url, tmp_path):
    with on_rabbitmq(rabbitmq_url, tmp_path, targets={"default": base}, signing_keys=RING) as field:
        works(field, handlers)


ODD = [
    {"url": "/caf\u00e9/x y?q=\u00fc&r=a b"},
    {"url": "/a%2Fb/%zz?%zz=%C3%A9"},
    {"url": "/work?"},
    {"url": "/work", "method": "GET"},
    {"url": "/work", "method": "PUT", "payload": bytes(range(256)) * 300},
    {"url": "/work", "headers": (("X-AppEngine-Current-Namespace", "caf\u00e9"), ("X_AppEngine_TaskName", "forged"))},
    {"url": "/work", "headers": (("X-AppEngine-Mine", "a"), ("X-AppEngine-Mine", "b"), ("x_appengine_mine", "c"))},
    {"url": "/work", "headers": (("X-GaeBroker-Signature", "forged"), ("X-GaeBroker-Mine", " a  b "))},
    {"url": "/work", "payload": b"x", "headers": (("Content-Type", " text/plain; charset=utf-8"),)},
    {"url": "/work", "headers": (("X-AppEngine-FailFast", ""),)},
]


@pytest.mark.parametrize("content", ODD)
def test_odd_requests_are_the_same_on_both_sides(base, handlers, content):
    with ground(QUEUE, targets={"default": base}, signing_keys=RING) as field:
        field.add("odd", queue="mail", **content)

        async def scenario(_):
            (event,) = await field.watcher.attempts(1)
            assert (event.status, event.result) == (200, Result.SUCCESS), event

        field.serve(scenario)
    assert [task.name for task in handlers.tasks] == ["odd"]


def test_a_targets_own_path_is_signed_too(handlers):
    inner = wsgi.TaskQueueMiddleware(handlers.wsgi, settings=SETTINGS)

    def mounted(environ, start_response):
        assert environ["PATH_INFO"].startswith("/shop/")
        shifted = environ | {"SCRIPT_NAME": "/shop", "PATH_INFO": environ["PATH_INFO"].removeprefix("/shop")}
        return inner(shifted, start_response)

    with served_wsgi(mounted) as base, ground(targets={"default": f"{base}/shop/"}, signing_keys=RING) as field:
        field.add("t")

        async def scenario(_):
            await field.watcher.attempts(1, result=Result.SUCCESS)

        field.serve(scenario)
    assert handlers.bodies["t"] == ("/shop/work", b"")


@pytest.mark.parametrize("keys", ["", "new:another-key-of-that-name", "third:0123456789abcdef"])
def test_a_dispatcher_without_the_key_gets_nothing_done_and_loses_nothing(base, handlers, keys):
    queue = dataclasses.replace(QUEUE, retry=RetryParameters(min_backoff_s=3600))
    with ground(queue, targets={"default": base}, signing_keys=keyring.parse(keys)) as field:
        field.add("t", queue="mail", url="/_ah/queue/mail")

        async def scenario(_):
            (event,) = await field.watcher.attempts(1)
            assert (event.status, event.result) == (403, Result.RETRY)
            assert b"not taken for a request of the task queue" in event.body_excerpt

        field.serve(scenario)
        assert field.comes_to_hold(1, "mail")
    assert not handlers.tasks


MADE = []


def note(number):
    MADE.append(number)


def test_signed_deferred_calls_are_made_and_forged_ones_end(base):
    MADE.clear()
    file = QueueFile({"default": Queue("default", retry=SOON, **FAST)})
    settings = Settings(url="embedded://", targets={"default": base}, signing_keys=RING)
    with Runtime.open(settings, queues=file) as runtime, runtimes.using(runtime):
        field = Ground(runtime)
        deferred.defer(note, 1)
        deferred.defer(note, b"x" * 200_000)
        runtime.settings = dataclasses.replace(settings, signing_keys=keyring.Keyring())
        deferred.defer(note, "forged", _name="forged")
        runtime.settings = settings

        async def scenario(_):
            await field.watcher.attempts(3, result=Result.SUCCESS)

        field.serve(scenario)
        (forged,) = field.watcher.those(task="forged")
        assert forged.body_excerpt == b"PermanentTaskFailure"
        assert field.comes_to_hold(0)
    assert sorted(map(len, map(str, MADE))) == [1, 200_003]


# ------------------------------------------------------------------------------------------ in process


def judged(environ):
    """What a guard makes of a request that came from elsewhere with these contents."""
    return Guard(SETTINGS).judge(dataclasses.replace(wsgi.asked_of(environ), origin=None))


@pytest.mark.parametrize("content", ODD)
def test_in_process_too_requests_are_signed(application, content):
    with ground(QUEUE, targets=HANDLERS, signing_keys=RING) as field:
        field.add("t", queue="mail", **content)

        async def scenario(_):
            await field.watcher.attempts(1, result=Result.SUCCESS)

        field.serve(scenario)
    (environ,) = application.requests
    verdict = judged(environ)
    assert verdict.refusal is None
    assert verdict.signature.key_id == "new"


def test_without_keys_nothing_is_signed(application):
    with ground(targets=HANDLERS) as field:
        field.add("t")

        async def scenario(_):
            await field.watcher.attempts(1, result=Result.SUCCESS)

        field.serve(scenario)
    assert "HTTP_X_GAEBROKER_SIGNATURE" not in application.requests[0]


def test_worker_processes_get_signed_requests():
    target = {"default": "tests.integration.signed_pool_app:app"}
    with ground(targets=target, signing_keys=RING) as field:
        field.add("t")

        async def scenario(_):
            (event,) = await field.watcher.attempts(1, result=Result.SUCCESS)
            assert event.body_excerpt == b"signed by new"

        field.serve(scenario, processes=Processes(2, 2))
