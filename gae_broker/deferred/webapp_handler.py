"""What webapp2 asks of a handler class, without webapp2."""

from __future__ import annotations

import http
from collections.abc import MutableMapping
from typing import Protocol
from wsgiref.types import WSGIEnvironment


class Written(Protocol):
    """What a response's text is written to."""

    def write(self, text: str, /) -> object:
        """Add text."""


class WebappRequest(Protocol):
    """What is read of webapp2's request."""

    method: str
    body: bytes
    environ: WSGIEnvironment


class WebappResponse(Protocol):
    """What is done to webapp2's response."""

    headers: MutableMapping[str, str]
    out: Written

    def set_status(self, code: int, /) -> None:
        """Set the status."""


class WebappHandler:
    """A handler of POST requests for the routes of a webapp2 application.

    It may also be subclassed together with an application's own ``RequestHandler``.

    Args:
        request, response: webapp2's; without them `initialize` brings them.
    """

    request: WebappRequest
    response: WebappResponse

    def __init__(self, request: WebappRequest | None = None, response: WebappResponse | None = None) -> None:
        if request is not None and response is not None:
            self.initialize(request, response)

    def initialize(self, request: WebappRequest, response: WebappResponse) -> None:
        """Take webapp2's request and response."""
        self.request, self.response = request, response

    def dispatch(self) -> None:
        """Answer the request: POST as `post` does, anything else with 405."""
        if self.request.method == "POST":
            self.post()
        else:
            self.answer(http.HTTPStatus.METHOD_NOT_ALLOWED, "tasks are POST requests")
            self.response.headers["Allow"] = "POST"

    def post(self) -> None:
        """Answer a POST request."""
        raise NotImplementedError

    def answer(self, status: int, text: str) -> None:
        """Set the response's status and text."""
        self.response.set_status(int(status))
        self.response.headers["Content-Type"] = "text/plain"
        self.response.out.write(text)

    def handle_exception(self, exception: Exception, debug: bool) -> None:  # noqa: ARG002 - webapp2's signature
        """Leave what was raised to the application.

        Raises:
            Exception: that.
        """
        raise exception
