"""Django middleware: lets the dispatcher's requests pass as tasks, and nobody else's. Under WSGI and ASGI.

::

    MIDDLEWARE = ["gae_broker_adapters.django.middleware.TaskQueueMiddleware", ...]
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from gae_broker.domain.headers import SOURCE_ADDRESS
from gae_broker.domain.origin import ORIGIN, Origin
from gae_broker.domain.signing import Refusal, Signature
from gae_broker.domain.task_headers import TaskHeaders
from gae_broker.errors import ConfigurationError
from gae_broker_adapters import asgi, wsgi
from gae_broker_adapters.current_task import RUNNING, TASK, current_task
from gae_broker_adapters.guard import Asked, Guard, ReplayMemory, is_reserved

__all__ = ["TaskHeaders", "TaskQueueMiddleware", "current_task"]

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class TaskQueueMiddleware:
    """Verifies task requests before anything else of the project sees them: it belongs first.

    - A signed request reaches views as on App Engine: ``REMOTE_ADDR`` is 0.1.0.2, its ``X-AppEngine-*`` headers are
      there, ``request.gae_task`` and `current_task` tell what they say. It needs no CSRF token.
    - Any other loses such headers, however they are written; its ``request.gae_task`` is ``None``.
    - One with a signature that does not hold gets 403, as does any other for ``/_ah/queue/*`` and the setting
      ``signed_paths``.
    - What the dispatcher calls in its own process, or a test through `gae_broker.testing`, needs no signature.

    A subclass may set ``signed_paths`` (more of them), ``stripped_prefix`` (what a proxy takes off each path before
    requests come here) and ``replays`` (where received signatures are remembered; in this process by default).

    Raises:
        ImproperlyConfigured: a setting cannot be used.
    """

    sync_capable = True
    async_capable = True
    signed_paths: Iterable[str] = ()
    stripped_prefix = ""
    replays: ReplayMemory | None = None

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        try:
            self._guard = Guard(
                signed_paths=self.signed_paths, stripped_prefix=self.stripped_prefix, replays=self.replays
            )
        except ConfigurationError as exc:
            raise ImproperlyConfigured(str(exc)) from exc
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        """Serve one request."""
        if self._is_async:
            return self._serve(request)
        refused = self._admit(request)
        if refused is not None:
            return refused
        with _running(request):
            return self.get_response(request)

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        refused = self._admit(request)
        if refused is not None:
            return refused
        with _running(request):
            return await cast("Awaitable[HttpResponseBase]", self.get_response(request))

    def _admit(self, request: HttpRequest) -> HttpResponse | None:
        """Make a request what the project is to see of it; an answer where it is to see nothing."""
        asked = _asked_of(request)
        verdict = self._guard.judge(asked)
        refusal, origin = verdict.refusal, verdict.origin
        if verdict.signature is not None:
            refusal, origin = self._receive(request, verdict.signature), Origin.SIGNED
        if refusal is not None:
            status, text = self._guard.refuse(asked, refusal)
            return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
        if origin is None:
            _strip(request)
        else:
            _trust(request, origin)
        return None

    def _receive(self, request: HttpRequest, signature: Signature) -> Refusal | None:
        announced = str(request.META.get("CONTENT_LENGTH") or "0")
        if not announced.isdecimal() or int(announced[:18]) > signature.length:
            return Refusal.BODY  # before any of it is read
        try:
            body = request.body
        except RequestDataTooBig:
            raise  # what Django answers says which setting
        except Exception:  # noqa: BLE001 - each server has its own for a client that is gone or lies about its length
            return Refusal.BODY
        return self._guard.accept(signature, len(body), hashlib.sha256(body).digest())


@contextlib.contextmanager
def _running(request: HttpRequest) -> Iterator[None]:
    """While this lasts, the request's task is the current one."""
    token = RUNNING.set(request.META.get(TASK))
    try:
        yield
    finally:
        RUNNING.reset(token)


def _asked_of(request: HttpRequest) -> Asked:
    scope = getattr(request, "scope", None)
    if scope is not None:
        return asgi.asked_of(scope)
    # Of the server's environment, Django has made text of these two; in what is no UTF-8 it has escaped the bytes.
    mounted, inner = (request.META[name].encode("utf-8", "surrogatepass") for name in ("SCRIPT_NAME", "PATH_INFO"))
    return dataclasses.replace(wsgi.asked_of(request.META), path=mounted + inner, inner_path=inner)


def _strip(request: HttpRequest) -> None:
    """Take away what only the dispatcher may say."""
    made: Any = request  # Django's class does not know what is added to it
    for name in [name for name in request.META if name.startswith("HTTP_") and is_reserved(name[5:])]:
        del request.META[name]
    if hasattr(request, "scope"):
        made.scope = asgi.strip(request.scope)
    made.__dict__.pop("headers", None)  # somebody may have looked at them before us
    made.gae_task = None


def _trust(request: HttpRequest, origin: Origin) -> None:
    """Show a task's request as one."""
    made: Any = request
    task = wsgi.task_of(request.META)
    request.META[ORIGIN] = origin
    request.META[TASK] = task
    if task is not None:
        request.META["REMOTE_ADDR"] = SOURCE_ADDRESS
    if hasattr(request, "scope"):
        made.scope = asgi.trusted(request.scope, origin)
    made.gae_task = task
    # Whoever holds the key is no browser that was talked into something.
    made._dont_enforce_csrf_checks = True  # noqa: SLF001
