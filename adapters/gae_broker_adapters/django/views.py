"""The view that makes deferred calls."""

from __future__ import annotations

import io
import logging
from http import HTTPStatus

from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from gae_broker import deferred
from gae_broker.domain.origin import ORIGIN, Origin

_log = logging.getLogger("gae_broker.security")
_SUCCESS = "Success"


@csrf_exempt
@require_POST
def run_deferred(request: HttpRequest) -> HttpResponse:
    """Make the call that a task carries; what it raises goes the way of any view's errors.

    With ``ATOMIC_REQUESTS`` nothing is committed of a call that did not succeed, whether it is tried again or not.
    """
    if not isinstance(request.META.get(ORIGIN), Origin):
        _log.error("refused a deferred call: TaskQueueMiddleware is not in MIDDLEWARE, so nobody verified its request")
        return HttpResponse("This is not taken for a request of the task queue.\n", status=HTTPStatus.FORBIDDEN)
    body = request.body
    environ = {**request.META, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    text, status, headers = deferred.Handler().post(environ)
    if text != _SUCCESS:
        _roll_back()
    return HttpResponse(text, status=status, headers=dict(headers))


def _roll_back() -> None:
    """End the request's transactions without their effect: the failure is answered, so no exception ends them."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)
