"""A dispatcher with keys, and the frameworks' applications behind real servers."""

from __future__ import annotations

import pytest

from gae_broker import deferred
from gae_broker.domain import keyring
from gae_broker.domain.queue import Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.engine import runtime as runtimes
from gae_broker.engine.dispatcher import Result
from tests.integration.dispatching import FAST, ground
from tests.integration.forging import KEYS
from tests.integration.serving import served_asgi, served_wsgi
from tests.integration.test_signed_dispatch import ODD
from tests.unit.deferred import callables
from tests.unit.frameworks.fixtures import _django_is_set_up, django_site, front_of
from tests.unit.frameworks.seen import SEEN

__all__ = ["_django_is_set_up", "django_site", "front_of"]

RING = keyring.parse(KEYS)
QUEUE = Queue("mail", retry=RetryParameters(min_backoff_s=0.01, max_backoff_s=0.01), **FAST)


@pytest.fixture(params=["flask", "django-wsgi", "django-asgi"])
def base(request, front_of):
    """Where the framework's application is served."""
    front = front_of(request.param, signing_keys=KEYS)
    serve = served_asgi if request.param == "django-asgi" else served_wsgi
    with serve(front.app) as url:
        yield url


@pytest.mark.parametrize("content", ODD)
def test_odd_requests_are_the_same_on_both_sides(base, content):
    with ground(QUEUE, targets={"default": base}, signing_keys=RING) as field:
        field.add("odd", queue="mail", **content)

        async def scenario(_):
            (event,) = await field.watcher.attempts(1)
            assert (event.status, event.result) == (200, Result.SUCCESS), event

        field.serve(scenario)
    (seen,) = SEEN
    assert (seen.current.name, seen.remote, seen.body) == ("odd", "0.1.0.2", content.get("payload", b""))


def test_deferred_calls_are_made(base):
    callables.calls.clear()
    with ground(QUEUE, targets={"default": base}, signing_keys=RING) as field, runtimes.using(field.runtime):
        for number in range(10):
            deferred.defer(callables.record, number, _queue="mail")

        async def scenario(_):
            await field.watcher.attempts(10, result=Result.SUCCESS)

        field.serve(scenario)
    assert sorted(args for args, _ in callables.calls) == [(number,) for number in range(10)]
