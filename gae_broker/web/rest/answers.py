"""Answers as Google's JSON APIs give them: values, parts of values, and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gae_broker import errors

JSON = "application/json; charset=UTF-8"
_NEVER_STORED = {"Cache-Control": "no-store"}


class RestError(Exception):
    """A request that is not answered as it wished.

    Args:
        status: the HTTP status.
        reason: Google's word for it, as ``invalidParameter``.
        message: what is wrong, and what to do.
        parameter: the parameter concerned.
        headers: more headers of the answer.
    """

    def __init__(
        self, status: int, reason: str, message: str, *, parameter: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.parameter = parameter
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, object]:
        """The error as Google writes it."""
        item = {"domain": "global", "reason": self.reason, "message": str(self)}
        if self.parameter:
            item |= {"locationType": "parameter", "location": self.parameter}
        return {"error": {"errors": [item], "code": self.status, "message": str(self)}}


def invalid(message: str, parameter: str = "") -> RestError:
    """A value that cannot be: 400."""
    return RestError(400, "invalidParameter" if parameter else "invalid", message, parameter=parameter)


_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.UnknownQueueError, 404, "notFound"),
    (errors.UnknownTaskError, 404, "notFound"),
    (errors.UnsupportedError, 501, "notImplemented"),
    (errors.TaskAlreadyExistsError, 400, "duplicate"),
    (errors.TransientError, 503, "backendError"),
    (errors.PermissionDeniedError, 500, "internalError"),
    (errors.ConfigurationError, 500, "internalError"),
    (errors.StorageError, 500, "internalError"),
    (errors.InternalError, 500, "internalError"),
    (errors.Error, 400, "invalid"),
)
"""The first match counts. A taken id is 400, as it was: clients know no 409 of this API."""
_INTERNAL = 500
_UNAVAILABLE = 503


def translated(error: errors.Error, *, taken: bool = False) -> RestError:
    """The answer to an error of the task queue.

    Args:
        error: what was raised.
        taken: whether a tombstone means a taken id (insert), and not a task that is gone.
    """
    if isinstance(error, errors.TombstonedTaskError):
        return RestError(400, "duplicate", str(error)) if taken else RestError(404, "notFound", str(error))
    status, reason = next((status, reason) for kind, status, reason in _STATUSES if isinstance(error, kind))
    if status == _INTERNAL:
        # What is wrong with this server's own settings is not for those outside.
        return RestError(status, reason, "The server cannot do this as it is configured; its log says why.")
    headers = {"Retry-After": "1"} if status == _UNAVAILABLE else None
    return RestError(status, reason, str(error) or type(error).__name__, headers=headers)


def as_json(value: object, *, pretty: bool) -> bytes:
    """A value as JSON, one space a level as Google's, or without any."""
    text = json.dumps(value, indent=1) if pretty else json.dumps(value, separators=(",", ":"))
    return text.encode()


def json_response(value: object, *, pretty: bool = True, status: int = 200, **headers: str) -> Response:
    """A value as an answer that no cache keeps."""
    body = as_json(value, pretty=pretty) + (b"\n" if pretty else b"")
    return Response(body, status, {**_NEVER_STORED, **headers}, media_type=JSON)


def error_response(error: RestError) -> Response:
    """An error as an answer."""
    body: Any = error.body
    response = json_response(body, status=error.status)
    response.headers.update(error.headers)
    return response
