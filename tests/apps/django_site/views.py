"""Views that remember what they were shown."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from gae_broker_adapters.django.middleware import current_task
from tests.unit.frameworks.seen import SEEN, Seen


@csrf_exempt
def anything(request: HttpRequest) -> HttpResponse:
    """Whatever is asked for."""
    return _remember(request)


def form(request: HttpRequest) -> HttpResponse:
    """What browsers may send with a token only."""
    return _remember(request)


def _remember(request: HttpRequest) -> HttpResponse:
    names = [name for name in request.META if name.startswith("HTTP_")]
    headers = {name[5:].lower().replace("_", "-"): request.META[name] for name in names}
    told = (request.gae_task, request.META.get("gae_broker.task"))  # type: ignore[attr-defined]
    SEEN.append(Seen(headers, request.body, request.META["REMOTE_ADDR"], told, current_task(), request.path_info))
    return HttpResponse("ok")
