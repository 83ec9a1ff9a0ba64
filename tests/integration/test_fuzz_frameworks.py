"""Ten thousand forged requests, and as many forged payloads, at each framework: none gets in, none crashes it."""

from __future__ import annotations

import logging
import random
from collections import Counter
from dataclasses import replace

import pytest

from gae_broker import deferred
from gae_broker.domain import keyring
from gae_broker.engine import runtime
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings
from tests.integration.forging import COUNT, KEYS, forgeries, signed, task_request
from tests.unit.deferred import callables
from tests.unit.frameworks.fixtures import _django_is_set_up, django_site, front_of
from tests.unit.frameworks.seen import SEEN

__all__ = ["_django_is_set_up", "django_site", "front_of"]

MIDDLEWARE = "gae_broker_adapters.django.middleware.TaskQueueMiddleware"
FORBIDDEN, OK, UNREADABLE, NO_METHOD = 403, 200, 400, 405


@pytest.fixture(autouse=True)
def _quiet():
    names = ["gae_broker.security", "gae_broker.deferred.deferred", "django.request", "front"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(params=["flask", "django-wsgi", pytest.param("django-asgi", marks=pytest.mark.slow)])
def front(request, front_of):
    # With Django's own middleware, most of the time would be spent on going to its threads and back.
    others = {} if request.param == "flask" else {"MIDDLEWARE": [MIDDLEWARE]}
    return front_of(request.param, signing_keys=KEYS, signed_paths="/work", signing_window="5m", **others)


def taken_for_a_task():
    return [seen for seen in SEEN if seen.reserved or seen.current or any(seen.tasks) or seen.remote == "0.1.0.2"]


def test_no_forged_request_gets_in(front):
    outcomes = Counter()
    for what, forged, genuine in forgeries(seed=20261125):
        if genuine is not None:
            assert front.send(genuine)[0] == OK, genuine
            assert [seen.body for seen in taken_for_a_task()] == [genuine.body]
        SEEN.clear()
        status, _ = front.send(forged)
        # A framework tells a stranger that it cannot read his request, or knows no such method.
        assert status in (OK, FORBIDDEN, UNREADABLE, NO_METHOD), (what, status, forged)
        assert not taken_for_a_task(), (what, forged)
        path = forged.target.partition(b"?")[0]
        if path.startswith((b"/_ah/queue", b"/work/")) or path == b"/work":
            assert status in (FORBIDDEN, UNREADABLE), (what, forged)
        outcomes[what, status] += 1
    assert sum(outcomes.values()) == COUNT
    refused = ("replayed", "body", "altered", "injected", "signature", "shifted")
    assert min(outcomes[what, FORBIDDEN] for what in refused) > 100
    assert outcomes["unsigned", OK] > 10  # as a stranger's, without its headers


def test_no_forged_payload_is_loaded(front):
    """Their requests are signed, as if somebody could write to the broker and have the dispatcher send it."""
    rng = random.Random(20261125)
    settings = Settings(url="embedded://", ledger="sqlite://", signing_keys=keyring.parse(KEYS))
    callables.calls.clear()
    with Runtime.open(settings) as opened, runtime.using(opened):
        genuine = deferred.serialize(callables.record, "genuine")
        for _ in range(COUNT):
            status, text = front.send(signed(carrying(rng, forged(rng, genuine))))
            assert (status, text) == (OK, b"PermanentTaskFailure")
            assert callables.calls == []
        assert front.send(signed(carrying(rng, genuine))) == (OK, b"Success")
        assert len(callables.calls) == 1


def carrying(rng, payload):
    request = task_request(rng, "/_ah/queue/deferred")
    headers = [item for item in request.headers if item[0] not in ("Content-Length", "Content-Type")]
    headers += [("Content-Length", str(len(payload))), ("Content-Type", "application/octet-stream")]
    return replace(request, method="POST", body=payload, headers=tuple(headers))


def forged(rng, genuine):
    """A payload that differs from the genuine one."""
    place, pickled = rng.randrange(len(genuine)), genuine[: genuine.index(b"\n#gae-broker")]
    made = rng.choice(
        [
            genuine[:place] + bytes([genuine[place] ^ 1 << rng.randrange(8)]) + genuine[place + 1 :],
            genuine[:place],
            genuine[place:] if place else b"",
            genuine[:place] + rng.randbytes(rng.randrange(1, 20)) + genuine[place:],
            pickled,
            pickled + rng.randbytes(100),
            genuine + genuine,
            genuine.replace(b"key=new", b"key=old"),
            genuine.replace(b"key=new", b"key=" + rng.randbytes(3).hex().encode()),
            rng.randbytes(rng.randrange(300)),
        ]
    )
    return made if made != genuine else b""
