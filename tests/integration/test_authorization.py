"""The Authorization of requests to targets that are not ours: a fixed one, or a hook's."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from gae_broker.domain import security_settings
from gae_broker.domain.queue import Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.engine.dispatcher import Result
from gae_broker.errors import ConfigurationError
from tests.integration.dispatching import FAST, as_module, ground
from tests.integration.serving import served_wsgi

LATER = Queue("q", retry=RetryParameters(min_backoff_s=3600), **FAST)


@pytest.fixture
def hooks(monkeypatch):
    """A module whose functions a test sets."""
    module = as_module("hooks_of_a_test", asked=[])
    monkeypatch.setitem(sys.modules, "hooks_of_a_test", module)
    return module


@pytest.fixture
def heard():
    return []


@pytest.fixture
def base(heard):
    def app(environ, start_response):
        heard.append(environ.get("HTTP_AUTHORIZATION"))
        start_response("200 OK", [])
        return [b""]

    with served_wsgi(app) as url:
        yield url


def attempted(base, authorization, **content):
    """One attempt at one task."""
    given = security_settings.authorization(authorization)
    with ground(LATER, targets={"default": base, "other": base}, authorization=given) as field:
        field.add("t", queue="q", **content)

        async def scenario(_):
            await field.watcher.attempts(1)

        field.serve(scenario)
        return field.watcher.events[0]


def test_a_fixed_one(base, heard):
    assert attempted(base, "default=Bearer abc").result is Result.SUCCESS
    assert heard == ["Bearer abc"]


def test_a_target_of_the_same_address_has_its_own(base, heard):
    attempted(base, "other=Bearer abc", headers=(("Authorization", "mine"),))
    attempted(base, "other=Bearer abc", headers=(("Authorization", "mine"),), target="other")
    assert heard == ["mine", "Bearer abc"]


def test_a_hook_is_asked_for_each_request(base, heard, hooks):
    def header(audience, request):
        hooks.asked.append(
            (audience, request.method, request.url, threading.current_thread() is threading.main_thread())
        )
        return "Bearer of-a-hook"

    hooks.header = header
    assert attempted(base, "default=hooks_of_a_test:header", url="/work?x=1").result is Result.SUCCESS
    assert heard == ["Bearer of-a-hook"]
    assert hooks.asked == [(base, "POST", "/work?x=1", False)]


def test_a_hook_may_be_a_coroutine_function(base, heard, hooks):
    async def header(audience, request):
        await asyncio.sleep(0)
        return f"Bearer {audience}"

    hooks.header = header
    attempted(base, "default=hooks_of_a_test:header")
    assert heard == [f"Bearer {base}"]


def test_a_hook_may_want_none(base, heard, hooks):
    hooks.header = lambda _audience, _request: None
    attempted(base, "default=hooks_of_a_test:header", headers=(("Authorization", "mine"),))
    assert heard == [None]


def test_a_hook_that_fails_is_a_failed_attempt_that_tells_no_secret(base, heard, hooks):
    def header(audience, request):
        raise LookupError("secret")

    hooks.header = header
    event = attempted(base, "default=hooks_of_a_test:header")
    assert (event.status, event.result, event.reason) == (
        None,
        Result.RETRY,
        "the authorization hook raised LookupError",
    )
    assert heard == []


@pytest.mark.parametrize("answer", [5, b"Bearer x", "Bearer x\r\nX-Other: y", "Bearer \u00e9"])
def test_what_is_no_header_is_not_sent(base, heard, hooks, answer):
    hooks.header = lambda _audience, _request: answer
    event = attempted(base, "default=hooks_of_a_test:header")
    assert event.result is Result.RETRY
    assert "no header value" in event.reason
    assert "Bearer" not in event.reason
    assert heard == []


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("nobody=Bearer abc", "there is no target 'nobody' over HTTP"),
        ("default=hooks_of_a_test:nothing", "hook 'hooks_of_a_test:nothing': hooks_of_a_test has no nothing"),
        ("default=no_such_module:f", "cannot import no_such_module"),
        ("default=hooks_of_a_test:asked", "not callable; name a function"),
    ],
)
def test_what_cannot_work_is_told_at_start(hooks, authorization, message):
    given = security_settings.authorization(authorization)
    with (
        ground(targets={"default": "http://127.0.0.1:9"}, authorization=given) as field,
        pytest.raises(ConfigurationError, match=message),
    ):
        field.dispatcher()
