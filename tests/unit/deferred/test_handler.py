"""The handler of deferred tasks: who may call it, and what it answers."""

from __future__ import annotations

import http
import io
import logging

import pytest

from gae_broker import deferred
from tests.unit.deferred import callables

TEXT = ("Content-Type", "text/plain")
PLAIN = [TEXT]


@pytest.fixture(autouse=True)
def forget_calls():
    callables.calls.clear()


def environ(function=callables.record, *args, **variables):
    body = deferred.serialize(function, *args)
    made = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "0.1.0.2",
        "HTTP_X_APPENGINE_TASKNAME": "n",
        "wsgi.input": io.BytesIO(body),
    } | variables
    return {key: value for key, value in made.items() if value is not None}


def call(request):
    started = []
    body = b"".join(deferred.application(request, lambda *answer: started.append(answer)))
    ((status, headers),) = started
    return status, headers, body


def test_a_task_is_run():
    assert call(environ(callables.record, 1)) == ("200 OK", PLAIN, b"Success")
    assert callables.calls == [((1,), {})]
    assert deferred.Handler().post(environ()) == ("Success", http.HTTPStatus.OK, PLAIN)
    assert deferred.Handler().run_from_request(environ()) == ("Success", http.HTTPStatus.OK, PLAIN)


@pytest.mark.parametrize(
    ("variables", "allowed"),
    [
        ({}, True),
        ({"REMOTE_ADDR": "10.0.0.1"}, False),
        ({"REMOTE_ADDR": None}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_APPENGINE_USER_IP": "0.1.0.2"}, True),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_APPENGINE_USER_IP": "127.0.0.1"}, False),
        ({"REMOTE_ADDR": "10.0.0.1", "SERVER_SOFTWARE": "Development/2.0"}, True),
        ({"REMOTE_ADDR": "10.0.0.1", "SERVER_SOFTWARE": "gunicorn"}, False),
        ({"REMOTE_ADDR": "0.1.0.2", "SERVER_SOFTWARE": "gunicorn"}, True),
    ],
    ids=str,
)
def test_requests_of_others_are_refused(variables, allowed):
    status, headers, body = call(environ(**variables))
    if allowed:
        assert status == "200 OK"
    else:
        assert (status, headers) == ("403 Forbidden", PLAIN)
        assert body == b"Detected an attempted XSRF attack. This request did not originate from Task Queue."
    assert bool(callables.calls) is allowed


@pytest.mark.parametrize("software", [None, "Development/2.0"])
def test_requests_without_a_task_name_are_refused(software):
    status, _, body = call(environ(HTTP_X_APPENGINE_TASKNAME=None, SERVER_SOFTWARE=software))
    assert status == "403 Forbidden"
    assert body == b"Detected an attempted XSRF attack. The header 'X-AppEngine-Taskname' was not set."
    assert callables.calls == []


def test_a_singular_failure_asks_for_a_retry_quietly(caplog):
    with caplog.at_level(logging.DEBUG):
        assert call(environ(callables.fail_once)) == ("408 Request Timeout", PLAIN, b"SingularTaskFailure")
    assert [record.levelname for record in caplog.records] == ["INFO", "DEBUG"]


@pytest.mark.parametrize("function", [callables.fail_permanently, None])
def test_a_permanent_failure_is_done_with(caplog, function):
    request = environ(function) if function else environ() | {"wsgi.input": io.BytesIO(b"no pickle")}
    assert call(request) == ("200 OK", PLAIN, b"PermanentTaskFailure")
    (error,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert error.exc_info[0] is deferred.PermanentTaskFailure


def test_any_other_failure_is_the_servers_matter():
    with pytest.raises(ZeroDivisionError):
        call(environ(callables.fail))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_not_allowed(method):
    status, headers, _ = call(environ(REQUEST_METHOD=method))
    assert status == "405 Method Not Allowed"
    assert ("Allow", "POST") in headers
    assert callables.calls == []


@pytest.mark.parametrize("length", ["", "x", "-1", None])
def test_a_length_that_is_none_reads_nothing(length):
    assert call(environ(CONTENT_LENGTH=length))[2] == b"PermanentTaskFailure"


def test_no_more_than_the_length_is_read():
    request = environ(callables.record, 1)
    request["wsgi.input"] = io.BytesIO(request["wsgi.input"].getvalue() + b"the next request")
    assert call(request)[2] == b"Success"
    assert request["wsgi.input"].read() == b"the next request"


def test_the_headers_are_logged_at_the_level_that_is_set(caplog):
    request = environ(HTTP_X_APPENGINE_QUEUENAME="q", HTTP_OTHER="x")
    with caplog.at_level(logging.DEBUG):
        deferred.application(request, lambda *_: None)
        deferred.set_log_level(logging.DEBUG)
        try:
            deferred.application(environ(), lambda *_: None)
        finally:
            deferred.set_log_level(logging.INFO)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "X_APPENGINE_TASKNAME:n, X_APPENGINE_QUEUENAME:q"),
        ("DEBUG", "X_APPENGINE_TASKNAME:n"),
    ]
