"""An ASGI application sees what a server would show it, and whatever it does ends as an outcome."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.asgi import Lifespan, answer, call_asgi
from gae_broker.errors import ConfigurationError

HEADERS = (("X-Mine", "1"), ("X-AppEngine-TaskName", "t1"), ("Host", "shop.example.com:8080"))
REQUEST = HttpRequest("POST", "/caf%C3%A9?a=1", HEADERS, b"abc", None, 60_000_000)


class Clock:
    def __init__(self):
        self.us = 0

    def now_us(self):
        self.us += 1
        return self.us


def call(app, request=REQUEST, **options):
    return call_asgi(app, request, Clock(), **options)


def start(status=200):
    return {"type": "http.response.start", "status": status, "headers": []}


def body(chunk=b"", more=False):
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def test_the_scope_is_a_servers():
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        seen["messages"] = [await receive()]
        await send(start())
        await send(body(b"ok"))
        seen["messages"].append(await receive())

    outcome = call(app)
    assert outcome.success
    assert outcome.body_excerpt == b"ok"
    assert seen["type"] == "http"
    assert seen["method"] == "POST"
    assert seen["path"] == "/café"
    assert seen["raw_path"] == b"/caf%C3%A9"
    assert seen["query_string"] == b"a=1"
    assert seen["client"] == ("0.1.0.2", 0)
    assert seen["server"] == ("shop.example.com", 8080)
    assert (b"x-appengine-taskname", b"t1") in seen["headers"]
    assert seen["messages"] == [
        {"type": "http.request", "body": b"abc", "more_body": False},
        {"type": "http.disconnect"},
    ]


def test_a_request_without_host_gets_one():
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await send(start())
        await send(body())

    call(app, replace(REQUEST, headers=()))
    assert (b"host", b"localhost") in seen["headers"]


async def no_answer(scope, receive, send):
    pass


async def half_an_answer(scope, receive, send):
    await send(start())
    await send(body(b"x", more=True))


async def body_first(scope, receive, send):
    await send(body())


async def raising(scope, receive, send):
    raise ValueError("on purpose")


async def exiting(scope, receive, send):
    raise SystemExit(3)


async def answering_twice(scope, receive, send):
    for _ in range(2):
        await send(start())
        await send(body())


@pytest.mark.parametrize("app", [no_answer, half_an_answer, body_first, raising, exiting, answering_twice])
def test_what_goes_wrong_in_the_application_is_a_500_with_a_traceback_in_the_log(app, caplog):
    async def attempt():
        return await answer(app, REQUEST, Clock())

    with caplog.at_level(logging.ERROR, "gae_broker.dispatch"):
        outcome = asyncio.run(attempt())
    assert outcome.status == 500
    assert outcome.reason
    (record,) = caplog.records
    assert record.exc_info


def test_a_deadline_cancels_the_application():
    cancelled = []

    async def app(scope, receive, send):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    outcome = call(app, replace(REQUEST, deadline_us=20_000))
    assert (outcome.status, outcome.reason) == (None, "deadline of 0.02 s exceeded")
    assert cancelled == [True]


def test_a_timeout_of_the_applications_own_is_its_error():
    async def app(scope, receive, send):
        raise TimeoutError("database")

    errors = []
    outcome = call(app, on_error=lambda _, error: errors.append(error))
    assert outcome.status == 500
    assert len(errors) == 1


def lifespan(app):
    async def life():
        span = Lifespan(app)
        await span.start()
        state = dict(span.state)
        await span.stop()
        return state

    return asyncio.run(life())


def test_lifespan_starts_and_stops_and_leaves_state():
    events = []

    async def app(scope, receive, send):
        events.append((await receive())["type"])
        scope["state"]["pool"] = 7
        await send({"type": "lifespan.startup.complete"})
        events.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    assert lifespan(app) == {"pool": 7}
    assert events == ["lifespan.startup", "lifespan.shutdown"]


def test_an_application_without_lifespan_is_served_all_the_same():
    async def app(scope, receive, send):
        assert scope["type"] == "http"

    assert lifespan(app) == {}


def test_an_application_that_cannot_start_says_so():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ConfigurationError, match="no database"):
        lifespan(app)
