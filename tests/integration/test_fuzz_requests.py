"""Ten thousand forged requests at each middleware: none is taken for a task, none crashes it."""

from __future__ import annotations

import logging
import random
from collections import Counter

import pytest

from gae_broker_adapters import asgi, wsgi
from gae_broker_adapters.current_task import current_task
from tests.integration.forging import SETTINGS, environ_of, forgeries, scope_of, signed, task_request

SIGNED_PATHS = ["/work"]
FORBIDDEN, OK = 403, 200


@pytest.fixture(autouse=True)
def _quiet():
    logger = logging.getLogger("gae_broker.security")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


class Reached:
    """An application that tells what it was told."""

    def __init__(self):
        self.said = None
        self.body = None

    def wsgi(self, environ, start_response):
        self.said = [
            key for key in environ if key.replace("-", "_").startswith(("HTTP_X_APPENGINE", "HTTP_X_GAEBROKER"))
        ]
        self.said += ["task"] if current_task() or environ.get("gae_broker.task") else []
        self.said += ["address"] if environ["REMOTE_ADDR"] == "0.1.0.2" else []
        self.body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"ok"]

    async def asgi(self, scope, receive, send):
        names = [name.replace(b"_", b"-") for name, _ in scope["headers"]]
        self.said = [name for name in names if name.startswith((b"x-appengine", b"x-gaebroker"))]
        self.said += ["task"] if current_task() or scope.get("gae_broker.task") else []
        self.said += ["address"] if scope["client"][0] == "0.1.0.2" else []
        self.body = b""
        more = True
        while more:
            message = await receive()
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": OK, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def through_wsgi(reached):
    app = wsgi.TaskQueueMiddleware(reached.wsgi, settings=SETTINGS, signed_paths=SIGNED_PATHS, deferred=True)

    def send(wire):
        statuses = []
        answer = app(environ_of(wire), lambda status, _headers, _info=None: statuses.append(int(status[:3])))
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        return statuses[-1]

    return send


def through_asgi(reached):
    app = asgi.TaskQueueMiddleware(reached.asgi, settings=SETTINGS, signed_paths=SIGNED_PATHS, deferred=True)

    def send(wire):
        sent = []
        body = wire.received
        half = len(body) // 2
        messages = [
            {"type": "http.request", "body": body[:half], "more_body": True},
            {"type": "http.request", "body": body[half:], "more_body": False},
        ]

        async def receive():
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def keep(message):
            sent.append(message)

        # Nothing here waits for a loop, so none is made.
        with pytest.raises(StopIteration):
            app(scope_of(wire), receive, keep).send(None)
        return sent[0]["status"]

    return send


@pytest.mark.parametrize("through", [through_wsgi, through_asgi], ids=["wsgi", "asgi"])
def test_no_forged_request_gets_in(through):
    reached = Reached()
    send = through(reached)
    outcomes = Counter()
    for what, forged, genuine in forgeries(seed=20261105):
        if genuine is not None:
            assert send(genuine) == OK, genuine
            assert (reached.body, "task" in reached.said) == (genuine.body, True)
        reached.said = None
        status = send(forged)
        assert status in (OK, FORBIDDEN), (what, status, forged)
        assert not reached.said, (what, reached.said, forged)
        path = forged.target.partition(b"?")[0]
        if path.startswith((b"/_ah/queue", b"/work/")) or path == b"/work":
            assert status == FORBIDDEN, (what, forged)
        outcomes[what, status] += 1
    assert sum(outcomes.values()) == 10_000
    assert (
        min(outcomes[what, FORBIDDEN] for what in ("replayed", "body", "altered", "injected", "signature", "shifted"))
        > 100
    )
    assert outcomes["unsigned", OK] > 10  # as a stranger's, without its headers


@pytest.mark.parametrize("through", [through_wsgi, through_asgi], ids=["wsgi", "asgi"])
def test_genuine_requests_do(through):
    rng = random.Random(7)
    reached = Reached()
    send = through(reached)
    for _ in range(1000):
        wire = signed(task_request(rng))
        assert send(wire) == OK, wire
        assert reached.body == wire.body
        assert {"task", "address"} <= set(reached.said)
