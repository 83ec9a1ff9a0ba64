"""Python 2's handler class, as webapp2 calls handlers: made with request and response, then ``dispatch()``."""

from __future__ import annotations

import io
import logging

import pytest

from gae_broker import deferred
from tests.unit.deferred import callables


class Request:
    def __init__(self, body, method="POST", **variables):
        self.body, self.method = body, method
        self.environ = {"REMOTE_ADDR": "0.1.0.2", "HTTP_X_APPENGINE_TASKNAME": "n"} | variables
        self.environ |= {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "4711"}  # what webapp2 has read already


class Response:
    def __init__(self):
        self.status, self.headers, self.out = 200, {}, io.StringIO()

    def set_status(self, code):
        self.status = code


@pytest.fixture(autouse=True)
def forget_calls():
    callables.calls.clear()


def dispatch(request, handler=deferred.TaskHandler):
    response = Response()
    handler(request, response).dispatch()
    return response.status, response.out.getvalue(), response.headers


def task(function, *args, **variables):
    return Request(deferred.serialize(function, *args), **variables)


def test_a_task_is_run_from_the_body_that_the_framework_read():
    assert dispatch(task(callables.record, 1)) == (200, "Success", {"Content-Type": "text/plain"})
    assert callables.calls == [((1,), {})]


def test_it_is_made_first_and_given_its_request_later():
    handler, response = deferred.TaskHandler(), Response()
    handler.initialize(task(callables.record), response)
    handler.post()
    assert (response.status, len(callables.calls)) == (200, 1)


def test_requests_of_others_are_refused():
    status, text, _ = dispatch(task(callables.record, REMOTE_ADDR="10.0.0.1"))
    assert (status, text.split(".")[0]) == (403, "Detected an attempted XSRF attack")
    status, text, headers = dispatch(task(callables.record, method="GET"))
    assert (status, headers["Allow"]) == (405, "POST")
    assert callables.calls == []


@pytest.mark.parametrize(
    ("function", "status", "text", "level"),
    [
        (callables.fail_once, 408, "SingularTaskFailure", "DEBUG"),
        (callables.fail_permanently, 200, "PermanentTaskFailure", "ERROR"),
    ],
)
def test_the_librarys_own_failures_are_answers(caplog, function, status, text, level):
    with caplog.at_level(logging.DEBUG):
        assert dispatch(task(function))[:2] == (status, text)
    assert caplog.records[-1].levelname == level


def test_any_other_failure_is_the_applications_matter():
    handler = deferred.TaskHandler(task(callables.fail), Response())
    with pytest.raises(ZeroDivisionError) as raised:
        handler.dispatch()
    with pytest.raises(ZeroDivisionError) as again:
        handler.handle_exception(raised.value, False)
    assert again.value is raised.value


def test_subclasses_may_stand_around_it():
    class Own(deferred.TaskHandler):
        def run_from_request(self):
            callables.record("before")
            super().run_from_request()

    assert dispatch(task(callables.fail_once), Own)[0] == 408
    assert callables.calls == [(("before",), {})]
