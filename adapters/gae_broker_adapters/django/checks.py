"""System checks: what ``manage.py check`` says of a project's task queues. Nothing is connected to."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings as project
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string

from gae_broker.domain import queue_yaml
from gae_broker.domain.security_settings import Unsigned
from gae_broker.errors import ConfigurationError, SettingsError
from gae_broker.settings import DEFAULT_SOURCE, Settings
from gae_broker_adapters.django.middleware import TaskQueueMiddleware
from gae_broker_adapters.django.views import run_deferred
from gae_broker_adapters.guard import DEFERRED_PATH

_MIDDLEWARE = f"{TaskQueueMiddleware.__module__}.{TaskQueueMiddleware.__qualname__}"
_READS_REQUESTS = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
)


def check_project(**_: Any) -> list[CheckMessage]:  # noqa: ANN401 - Django passes what it likes
    """Every finding."""
    return [*_settings(), *_middleware(), *_deferred_url()]


def _settings() -> Iterator[CheckMessage]:
    try:
        settings = Settings.load()
    except SettingsError as exc:
        yield Error(str(exc), hint="The keys of GAE_BROKER are those of gae-broker.toml.", id="gae_broker.E001")
        return
    yield from _queues(settings)
    if settings.unsigned_requests == Unsigned.LOOPBACK and settings.signing_keys:
        yield Error(
            "unsigned_requests is 'loopback' although there are signing keys, so the middleware will not start.",
            hint="Unset unsigned_requests.",
            id="gae_broker.E003",
        )
    elif not settings.signing_keys and settings.unsigned_requests == Unsigned.REFUSE:
        yield Warning(
            "There are no signing keys: tasks run in the dispatcher's own processes only, not over HTTP.",
            hint="Set signing_keys here and for the dispatcher; for development, unsigned_requests: 'loopback'.",
            id="gae_broker.W001",
        )


def check_deployment(**_: Any) -> list[CheckMessage]:  # noqa: ANN401
    """What ``manage.py check --deploy`` says beside that."""
    try:
        settings = Settings.load()
    except SettingsError:
        return []  # said by `check_project`
    if settings.unsigned_requests != Unsigned.LOOPBACK:
        return []
    return [
        Warning(
            "Unsigned task requests from this machine are believed: a proxy on it lets everybody run any task.",
            hint="Unset unsigned_requests, and set signing_keys here and for the dispatcher.",
            id="gae_broker.W005",
        )
    ]


def _queues(settings: Settings) -> Iterator[CheckMessage]:
    if not Path(settings.queue_yaml).exists():
        if settings.source("queue_yaml") != DEFAULT_SOURCE:
            yield Warning(
                f"There is no {settings.queue_yaml} (from {settings.source('queue_yaml')}): "
                "only the queue 'default' exists.",
                hint="Name it from BASE_DIR, so that it is found wherever commands are started.",
                id="gae_broker.W002",
            )
        return
    try:
        queue_yaml.load_path(settings.queue_yaml)
    except ConfigurationError as exc:
        yield Error(str(exc), id="gae_broker.E002")


def _middleware() -> Iterator[CheckMessage]:
    names: Sequence[str] = project.MIDDLEWARE
    ours = next((place for place, name in enumerate(names) if _is_ours(name)), None)
    if ours is None:
        yield Warning(
            f"{_MIDDLEWARE} is not in MIDDLEWARE: "
            "anybody can send X-AppEngine-* headers, and deferred calls are refused.",
            hint="Put it first; or wrap the application in gae_broker_adapters.wsgi.TaskQueueMiddleware (or .asgi), "
            "and silence this.",
            id="gae_broker.W003",
        )
        return
    early = [name for name in names[:ours] if name in _READS_REQUESTS]
    if early:
        yield Error(
            f"{names[ours]} comes after {', '.join(early)}, which thus see requests that nobody has verified.",
            hint="Put it first in MIDDLEWARE.",
            id="gae_broker.E004",
        )


def _is_ours(name: str) -> bool:
    try:
        found = import_string(name)
    except ImportError:
        return False  # Django says so itself
    return inspect.isclass(found) and issubclass(found, TaskQueueMiddleware)


def _deferred_url() -> Iterator[CheckMessage]:
    if not hasattr(project, "ROOT_URLCONF"):
        return  # a project that only adds tasks
    try:
        found = resolve(DEFERRED_PATH).func
    except Resolver404:
        found = None
    if found is not run_deferred:
        leads = "leads nowhere" if found is None else f"leads to {getattr(found, '__module__', '?')}"
        yield Warning(
            f"{DEFERRED_PATH} {leads}: deferred calls are not made.",
            hint='Add path("", include("gae_broker_adapters.django.urls")) to urlpatterns, before what matches all.',
            id="gae_broker.W004",
        )
