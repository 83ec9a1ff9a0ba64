"""What is WSGI's alone, or ASGI's."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io

import pytest

from gae_broker_adapters import asgi, wsgi
from gae_broker_adapters.current_task import current_task
from tests.integration.forging import SETTINGS, environ_of, scope_of, signed
from tests.unit.adapters.through import REQUEST, TASK, ThroughWsgi


def serve(app, environ):
    """What a WSGI server does; the status."""
    started = []
    with contextlib.ExitStack() as stack:
        answer = app(environ, lambda status, *_: started.append(status))
        if hasattr(answer, "close"):
            stack.callback(answer.close)
        b"".join(answer)
    return started[0]


def environ_with(wire, **changed):
    environ = environ_of(wire) | changed
    return {key: value for key, value in environ.items() if value is not None}


def test_wsgi_a_body_without_a_length_is_read_to_its_end_where_the_server_says_so():
    made = ThroughWsgi(settings=SETTINGS)

    def send(**changed):
        changed = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"} | changed
        return serve(made.app, environ_with(signed(REQUEST), **changed))

    assert send(**{"wsgi.input_terminated": True}) == "200 OK"
    assert made.sees().body == b"abc"
    assert send() == "403 Forbidden"
    assert send(CONTENT_LENGTH="x") == "403 Forbidden"
    assert send(CONTENT_LENGTH="-3") == "403 Forbidden"
    assert send(CONTENT_LENGTH="9" * 5000) == "403 Forbidden"


def test_wsgi_a_client_that_goes_away_is_no_error():
    class Gone(io.BytesIO):
        def read(self, *_):
            raise ConnectionResetError

    made = ThroughWsgi(settings=SETTINGS)
    assert made.send(signed(REQUEST), **{"wsgi.input": Gone()})[0] == 403


def test_wsgi_an_answer_is_made_within_its_task():
    told = []
    mark = contextvars.ContextVar("mark", default="")

    def app(environ, start_response):
        mark.set("set by the application")
        start_response("200 OK", [])

        def pieces():
            try:
                told.append((current_task(), mark.get()))
                yield b"a"
                told.append((current_task(), mark.get()))
                yield environ["wsgi.input"].read()
            finally:
                told.append(("closed", current_task()))

        return pieces()

    answer = wsgi.TaskQueueMiddleware(app, settings=SETTINGS)(environ_of(signed(REQUEST)), lambda *_: None)
    assert next(answer) == b"a"
    assert current_task() is None
    assert next(answer) == b"abc"
    answer.close()
    assert told == [(TASK, "set by the application")] * 2 + [("closed", TASK)]


def test_wsgi_the_servers_own_environment_stays_as_it_was():
    environ = environ_of(signed(REQUEST))
    before = dict(environ)
    made = ThroughWsgi(settings=SETTINGS)
    assert serve(made.app, environ) == "200 OK"
    assert environ == before
    assert made.sees().remote == "0.1.0.2"


def test_wsgi_what_the_application_raises_is_not_changed():
    def app(environ, start_response):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        wsgi.TaskQueueMiddleware(app, settings=SETTINGS)(environ_of(signed(REQUEST)), lambda *_: None)


def run_asgi(app, scope, *messages):
    sent = []
    waiting = list(messages)

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_asgi_other_connections_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    middleware = asgi.TaskQueueMiddleware(app, settings=SETTINGS)
    lifespan = {"type": "lifespan"}
    run_asgi(middleware, lifespan)
    assert seen[0] is lifespan
    run_asgi(
        middleware,
        {"type": "websocket", "path": "/_ah/queue/x", "headers": [(b"X-AppEngine-TaskName", b"t"), (b"a", b"b")]},
    )
    assert seen[1]["headers"] == [(b"a", b"b")]


def test_asgi_a_client_that_goes_away_gets_no_answer():
    async def app(scope, receive, send):
        raise AssertionError("not reached")

    middleware = asgi.TaskQueueMiddleware(app, settings=SETTINGS)
    assert (
        run_asgi(middleware, scope_of(signed(REQUEST)), {"type": "http.request", "body": b"a", "more_body": True}) == []
    )


def test_asgi_after_the_body_the_application_hears_what_the_server_says():
    heard = []

    async def app(scope, receive, send):
        heard.extend([await receive(), await receive()])

    middleware = asgi.TaskQueueMiddleware(app, settings=SETTINGS)
    run_asgi(middleware, scope_of(signed(REQUEST)), {"type": "http.request", "body": b"abc"})
    assert heard == [{"type": "http.request", "body": b"abc", "more_body": False}, {"type": "http.disconnect"}]
