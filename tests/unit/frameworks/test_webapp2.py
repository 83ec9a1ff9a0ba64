"""Handler classes of old code, on webapp2 itself, behind the WSGI middleware."""

from __future__ import annotations

import gc
import warnings

import pytest

from gae_broker import deferred, taskqueue
from gae_broker.testing.bench import TaskBench
from gae_broker_adapters.current_task import current_task
from gae_broker_adapters.wsgi import TaskQueueMiddleware
from tests.integration.forging import SETTINGS, on_the_wire, signed
from tests.unit.adapters.through import REQUEST
from tests.unit.frameworks.fronts import OverWsgi

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is of Python 2's time, and so are its escapes
    import webapp2

# WebOb leaves a temporary file to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

counts: dict[str, int] = {}
told: list[object] = []


class CounterHandler(webapp2.RequestHandler):
    """As App Engine's own sample of push queues had it."""

    def get(self):
        self.response.headers["Content-Type"] = "text/plain"
        self.response.write("\n".join(f"{key}: {count}" for key, count in sorted(counts.items())))

    def post(self):
        taskqueue.add(url="/worker", params={"key": self.request.get("key")})
        self.redirect("/")


class CounterWorker(webapp2.RequestHandler):
    def post(self):
        key = self.request.get("key")
        if key == "flaky" and int(self.request.headers["X-AppEngine-TaskRetryCount"]) == 0:
            self.error(503)
            return
        told.append((self.request.remote_addr, current_task().name, self.request.headers["X-AppEngine-TaskName"]))
        counts[key] = counts.get(key, 0) + 1


def make():
    app = webapp2.WSGIApplication([("/", CounterHandler), ("/worker", CounterWorker)], debug=False)
    return TaskQueueMiddleware(app, settings=SETTINGS, deferred=True, signed_paths=["/worker"])


@pytest.fixture(autouse=True)
def _empty():
    counts.clear()
    told.clear()
    yield
    gc.collect()


def add_to(key):
    counts[key] = counts.get(key, 0) + 10


def test_handlers_add_tasks_and_run_them():
    app = make()
    with TaskBench(app=app) as tasks:
        request = webapp2.Request.blank("/", POST={"key": "a"})
        assert request.get_response(app).status_int == 302
        taskqueue.add(url="/worker", params={"key": "flaky"})
        deferred.defer(add_to, "a")
        assert sorted(run.status for run in tasks.run_all()) == [200, 200, 200, 503]
    assert webapp2.Request.blank("/").get_response(app).body == b"a: 11\nflaky: 1"
    assert {address for address, *_ in told} == {"0.1.0.2"}
    assert all(current == header for _, current, header in told)


class Over(OverWsgi):
    def __init__(self):
        self.app = make()


def test_only_the_dispatcher_runs_its_workers():
    over = Over()
    request = REQUEST.__class__("POST", "/worker", REQUEST.headers, b"key", None, 60_000_000)
    assert over.send(on_the_wire(request))[0] == 403
    assert over.send(signed(request))[0] == 200
    assert len(told) == 1
