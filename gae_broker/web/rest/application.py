"""The API as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from gae_broker import errors
from gae_broker.domain.access_tokens import AccessTokens
from gae_broker.engine.runtime import Runtime
from gae_broker.web.rest import bodies, discovery, openapi, parameters
from gae_broker.web.rest.answers import RestError, error_response, json_response, translated
from gae_broker.web.rest.leases import LeaseResponse
from gae_broker.web.rest.methods import BASE_PATH, METHODS, Method
from gae_broker.web.rest.parameters import Arguments
from gae_broker.web.rest.permissions import EVERYBODY, Caller, authenticate, permit, require_local
from gae_broker.web.rest.requests import form_fields, is_form, read_body
from gae_broker.web.rest.service import Place, Service
from gae_broker.web.rest.wrapping import CALLER, AccessLog, MethodOverride

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_THREADS = 16
_LEASES = 16
"""Leases under way; each holds a batch of some 16 MB at most until its client has read it."""
_INTERNAL = 500
_LEAST_GZIPPED = 1024
_GZIP_LEVEL = 1  # base64 shrinks by a quarter whatever the effort
_REASONS = {404: "notFound", 405: "methodNotAllowed"}


class RestApi:
    """The API; before `attach` every method answers that it is not ready.

    Args:
        tokens: who may use it; none: whoever reaches it from this machine.
    """

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens
        self._service: Service | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gae-broker rest")
        self._room = asyncio.Semaphore(_LEASES)

    def attach(self, runtime: Runtime) -> None:
        """Serve these queues from now on."""
        self._service = Service(runtime)

    def close(self) -> None:
        """End the threads; calls under way may finish."""
        self._threads.shutdown(wait=True)

    def application(
        self, more: list[BaseRoute], while_serving: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    ) -> ASGIApp:
        """The ASGI application.

        Args:
            more: other routes to serve.
            while_serving: entered when it begins, and left when it ends.
        """

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with while_serving():
                yield

        app = Starlette(
            routes=[*self._routes(), *more],
            exception_handlers={
                RestError: _refused,
                errors.Error: _failed,
                HTTPException: _not_found,
                ClientDisconnect: _gone,
                Exception: _broken,
            },
            lifespan=lifespan,
        )
        app.router.redirect_slashes = False
        packed = GZipMiddleware(app, minimum_size=_LEAST_GZIPPED, compresslevel=_GZIP_LEVEL)
        return AccessLog(MethodOverride(packed))

    def _routes(self) -> list[Route]:
        by_path: dict[str, dict[str, Method]] = {}
        for method in sorted(METHODS, key=lambda method: method.name != "lease"):  # before a task of that name
            by_path.setdefault(method.path, {})[method.http] = method
        routes = [
            Route(BASE_PATH + path, self._endpoint(methods), methods=list(methods)) for path, methods in by_path.items()
        ]
        return [*routes, Route(openapi.PATH, _openapi), Route(discovery.PATH, _discovery)]

    def _endpoint(self, methods: Mapping[str, Method]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            method = methods["GET" if request.method == "HEAD" else request.method]
            caller = self._caller(request)
            if self._service is None:
                raise RestError(
                    503, "backendError", "The broker cannot be reached yet; try again.", headers={"Retry-After": "5"}
                )
            form = is_form(request)
            body = await read_body(request) if method.request or form else b""
            given = [*request.query_params.multi_items(), *(form_fields(body) if form else ())]
            arguments = parameters.read(method, request.path_params, given)
            service = self._service
            return await self._off_loop(lambda: self._perform(service, method, arguments, caller, body))

        return endpoint

    def _caller(self, request: Request) -> Caller:
        caller = authenticate(self._tokens, request.headers.get("authorization"))
        request.scope[CALLER] = caller
        if caller == EVERYBODY:
            headers = request.headers
            require_local(headers.get("host"), headers.get("origin"), headers.get("sec-fetch-site"))
        return caller

    def _perform(self, service: Service, method: Method, arguments: Arguments, caller: Caller, body: bytes) -> Response:
        """Do what a method does, in a thread."""
        place = service.place(arguments.text("project"), arguments.text("taskqueue"))
        permit(caller, place.queue, writes=method.writes, reads_only_queue=method.resource == "taskqueues")
        if method.name == "lease":
            return LeaseResponse(
                service.lease(place, arguments),
                self._off_loop,
                self._room,
                arguments.fields,
                pretty=arguments.pretty,
            )
        if method.name == "delete":
            service.delete(place, arguments.text("task"))
            return Response(status_code=204)
        return json_response(
            arguments.fields.of(_answer(service, method, place, arguments, body)), pretty=arguments.pretty
        )

    async def _off_loop(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _answer(service: Service, method: Method, place: Place, arguments: Arguments, body: bytes) -> dict[str, object]:
    task = arguments.text("task")
    match method.id.rpartition("taskqueue.")[2]:
        case "taskqueues.get":
            return service.get_queue(place, figures=arguments.flag("getStats"))
        case "tasks.list":
            return service.list_tasks(place)
        case "tasks.get":
            return service.get_task(place, task)
        case "tasks.insert":
            try:
                return service.insert(place, bodies.read(body))
            except errors.TombstonedTaskError as exc:
                raise translated(exc, taken=True) from exc
        case _:
            return service.change_lease(place, task, bodies.read(body), arguments.number("newLeaseSeconds"))


async def _openapi(_: Request) -> Response:
    return json_response(openapi.document())


async def _discovery(request: Request) -> Response:
    return json_response(discovery.document(str(request.base_url)))


async def _refused(_: Request, error: Exception) -> Response:
    return error_response(error if isinstance(error, RestError) else RestError(_INTERNAL, "internalError", "?"))


async def _failed(_: Request, error: Exception) -> Response:
    refusal = translated(error if isinstance(error, errors.Error) else errors.InternalError())
    if refusal.status >= _INTERNAL:
        _log.error("%s: %s", type(error).__name__, error)
    return error_response(refusal)


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else _INTERNAL
    headers = error.headers if isinstance(error, HTTPException) else None
    message = f"{request.method} is nothing to do there." if status != 404 else "There is nothing at this path."  # noqa: PLR2004
    return error_response(RestError(status, _REASONS.get(status, "badRequest"), message, headers=headers))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _broken(_: Request, __: Exception) -> Response:
    """Of what nobody foresaw; Starlette raises it again, and the server logs it."""
    return error_response(RestError(_INTERNAL, "internalError", "An internal error; the server's log says more."))
