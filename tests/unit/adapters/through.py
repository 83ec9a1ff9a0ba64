"""The two middlewares, each around an application that remembers what it was shown: what their tests share."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.origin import Origin
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.targets.inprocess import call_asgi, call_wsgi
from gae_broker.settings import Settings
from gae_broker_adapters import asgi, wsgi
from gae_broker_adapters.current_task import TaskHeaders, current_task
from tests.integration.forging import environ_of, scope_of

HEADERS = (
    ("X-AppEngine-QueueName", "mail"),
    ("X-AppEngine-TaskName", "t1"),
    ("X-AppEngine-TaskRetryCount", "2"),
    ("X-AppEngine-TaskExecutionCount", "1"),
    ("X-AppEngine-User-IP", "0.1.0.2"),
    ("Content-Length", "3"),
    ("Content-Type", "text/plain"),
)
REQUEST = HttpRequest("POST", "/work?x=1", HEADERS, b"abc", None, 60_000_000)
TASK = TaskHeaders("mail", "t1", retry_count=2, execution_count=1)
NO_KEYS = Settings()


@dataclasses.dataclass
class Seen:
    """What an application was shown."""

    headers: dict[str, str]
    body: bytes
    remote: str
    task: TaskHeaders | None
    current: TaskHeaders | None
    origin: Origin | None
    path: str


class Through:
    """A middleware around an application that remembers what it was shown."""

    def __init__(self, **options: Any) -> None:
        self.seen: list[Seen] = []
        self.app = self.make(**options)

    def sees(self) -> Seen:
        (seen,) = self.seen
        self.seen.clear()
        return seen


class ThroughWsgi(Through):
    def make(self, **options):
        return wsgi.TaskQueueMiddleware(self.application, **options)

    def application(self, environ, start_response):
        headers = {
            key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")
        }
        body = environ["wsgi.input"].read()
        origin = environ.get("gae_broker.origin")
        task, path = environ.get("gae_broker.task"), environ["PATH_INFO"]
        self.seen.append(Seen(headers, body, environ["REMOTE_ADDR"], task, current_task(), origin, path))
        start_response("200 OK", [])
        return [b"ok"]

    def send(self, wire, **extra):
        started = []
        answer = self.app(environ_of(wire) | extra, lambda status, _headers, _info=None: started.append(status))
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        return int(started[0][:3]), body

    def remote(self, address):
        return {"REMOTE_ADDR": address}

    def in_process(self, request):
        return call_wsgi(self.app, request, SystemClock()).status


class ThroughAsgi(Through):
    def make(self, **options):
        return asgi.TaskQueueMiddleware(self.application, **options)

    async def application(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        task, origin = scope.get("gae_broker.task"), scope.get("gae_broker.origin")
        self.seen.append(Seen(headers, body, scope["client"][0], task, current_task(), origin, scope["path"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    def send(self, wire, **extra):
        sent = []
        body, size = wire.received, max(len(wire.received) // 5, 2)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        messages.append({"type": "http.request", "body": b""})

        async def receive():
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def keep(message):
            sent.append(message)

        asyncio.run(self.app(scope_of(wire) | extra, receive, keep))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    def remote(self, address):
        return {"client": (address, 1)}

    def in_process(self, request):
        return call_asgi(self.app, request, SystemClock()).status
