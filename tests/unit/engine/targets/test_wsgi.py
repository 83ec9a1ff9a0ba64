"""A WSGI application sees what a server would show it, and whatever it does ends as an outcome."""

from __future__ import annotations

import logging
from dataclasses import replace
from wsgiref.validate import validator

import pytest

from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.targets.failures import EXCERPT, READ_LIMIT
from gae_broker.engine.targets.wsgi import call_wsgi

HEADERS = (
    ("x-mine", "1"),
    ("X-AppEngine-QueueName", "mail"),
    ("X-AppEngine-TaskName", "t1"),
    ("Content-Length", "3"),
    ("Content-Type", "text/plain"),
    ("Host", "shop.example.com:8080"),
)
REQUEST = HttpRequest("POST", "/caf%C3%A9/x%20y?a=1&b=%20", HEADERS, b"abc", None, 60_000_000)


class Clock:
    def __init__(self):
        self.us = 0

    def now_us(self):
        self.us += 1
        return self.us


def call(app, request=REQUEST, **options):
    return call_wsgi(app, request, Clock(), **options)


def answering(status, *chunks):
    def app(environ, start_response):
        start_response(status, [])
        return list(chunks)

    return app


def test_the_environment_is_a_servers():
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    assert call(app).success
    assert seen["REQUEST_METHOD"] == "POST"
    assert seen["SCRIPT_NAME"] == ""
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/café/x y"
    assert seen["QUERY_STRING"] == "a=1&b=%20"
    assert seen["REMOTE_ADDR"] == "0.1.0.2"
    assert seen["SERVER_SOFTWARE"].startswith("gae-broker/")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("shop.example.com", "8080")
    assert seen["HTTP_HOST"] == "shop.example.com:8080"
    assert seen["HTTP_X_APPENGINE_TASKNAME"] == "t1"
    assert seen["HTTP_X_MINE"] == "1"
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["body"]) == ("text/plain", "3", b"abc")
    assert "HTTP_CONTENT_TYPE" not in seen


def test_it_passes_the_standard_librarys_own_check_of_wsgi():
    def app(environ, start_response):
        environ["wsgi.input"].read(3)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    assert call(validator(app)).success


@pytest.mark.parametrize(
    ("status", "expected"),
    [("200 OK", 200), ("204 No Content", 204), ("302 Found", 302), ("404 Not Found", 404), ("500", 500)],
)
def test_the_outcome_is_the_status(status, expected):
    outcome = call(answering(status, b"body"))
    assert outcome.status == expected
    assert outcome.success == (expected < 300)
    assert outcome.reason == ("" if outcome.success else f"status {expected}")
    assert outcome.body_excerpt == b"body"
    assert outcome.ended_us > outcome.started_us


def no_start(environ, start_response):
    return [b"x"]


def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def bad_status(environ, start_response):
    start_response("fine", [])
    return []


def raising(environ, start_response):
    raise ValueError("on purpose")


def exiting(environ, start_response):
    raise SystemExit(3)


def raising_late(environ, start_response):
    start_response("200 OK", [])
    yield b"x"
    raise ValueError("on purpose")


@pytest.mark.parametrize("app", [no_start, twice, bad_status, raising, exiting, raising_late])
def test_what_goes_wrong_in_the_application_is_a_500_with_a_traceback_in_the_log(app, caplog):
    with caplog.at_level(logging.ERROR, "gae_broker.dispatch"):
        outcome = call(app)
    assert outcome.status == 500
    assert outcome.reason
    (record,) = caplog.records
    assert record.exc_info
    assert (record.queue, record.task) == ("mail", "t1")


def test_the_callers_own_error_handling_replaces_the_log():
    errors = []
    call(raising, on_error=lambda request, error: errors.append((request, error)))
    assert [(request, repr(error)) for request, error in errors] == [(REQUEST, "ValueError('on purpose')")]


def test_iterables_are_closed_even_if_they_break_off():
    class Body:
        closed = 0

        def __iter__(self):
            yield b"x"
            raise ValueError

        def close(self):
            self.closed += 1

    body = Body()

    def app(environ, start_response):
        start_response("200 OK", [])
        return body

    call(app, on_error=lambda *_: None)
    assert body.closed == 1


def test_write_is_supported():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"written ")
        return [b"returned"]

    assert call(app).body_excerpt == b"written returned"


def test_an_error_page_may_replace_an_answer_that_has_not_begun():
    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            {}["missing"]
        except KeyError as exc:
            start_response("503 Busy", [], (type(exc), exc, exc.__traceback__))
        return [b"busy"]

    assert call(app).status == 503


def test_a_huge_answer_is_not_kept():
    chunk = b"x" * 10_000

    def app(environ, start_response):
        start_response("200 OK", [])
        return (chunk for _ in range(READ_LIMIT // 100))

    outcome = call(app)
    assert outcome.success
    assert len(outcome.body_excerpt) == EXCERPT


def test_without_a_host_there_still_is_one():
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    call(app, replace(REQUEST, headers=(), url="/x"))
    assert (seen["HTTP_HOST"], seen["SERVER_PORT"], seen["QUERY_STRING"]) == ("localhost", "80", "")
