"""Runs tasks through App Engine's ``request_info`` objects, for suites that bring their own."""

from __future__ import annotations

from typing import Protocol, cast

from gae_broker.domain.headers import SOURCE_ADDRESS
from gae_broker.engine.delivery import HttpRequest, Outcome
from gae_broker.ports import Clock


class Answer(Protocol):
    """What ``add_request`` answers: its ``status`` begins with a number, as in ``200 OK``."""

    status: str


class Dispatcher(Protocol):
    """App Engine's ``request_info.Dispatcher``, as far as its stub uses it."""

    def add_request(
        self,
        *,
        method: str,
        relative_url: str,
        headers: list[tuple[str, str]],
        body: bytes,
        source_ip: str,
        module_name: str | None,
        version: str | None,
        instance_id: str | None,
    ) -> Answer:
        """Make a request of a module and wait for its answer."""


class RequestData(Protocol):
    """App Engine's ``request_info.RequestInfo``, as far as its stub uses it."""

    def get_dispatcher(self) -> Dispatcher:
        """The dispatcher."""


class RequestDataApplications:
    """`Applications` over App Engine's dispatcher.

    Args:
        request_data: has ``get_dispatcher()``.
        clock: when attempts begin and end.
    """

    def __init__(self, request_data: object, clock: Clock) -> None:
        self._request_data = cast("RequestData", request_data)
        self._clock = clock

    def call(self, request: HttpRequest) -> tuple[Outcome, Exception | None]:
        """Make one request through ``add_request``; an exception of it is a failure without an answer."""
        started_us = self._clock.now_us()
        module, version, instance = _parts(request.target)
        try:
            answer = self._request_data.get_dispatcher().add_request(
                method=request.method,
                relative_url=request.url,
                headers=list(request.headers),
                body=request.body,
                source_ip=SOURCE_ADDRESS,
                module_name=module,
                version=version,
                instance_id=instance,
            )
        except Exception as exc:  # noqa: BLE001 - whatever it raises, the attempt failed
            return Outcome(None, f"{type(exc).__name__}: {exc}", started_us, self._clock.now_us()), exc
        status = int(str(answer.status).split(maxsplit=1)[0])
        return Outcome(status, "", started_us, self._clock.now_us()), None


def _parts(target: str | None) -> tuple[str | None, str | None, str | None]:
    """A target read from right to left: module, version, instance."""
    names: list[str | None] = list(reversed(target.split("."))) if target else []
    module, version, instance = [*names, None, None, None][:3]
    return module, version, instance
