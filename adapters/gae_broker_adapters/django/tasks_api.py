"""Django's Tasks framework: its own since Django 6.0, the package ``django-tasks`` before, which has the same names."""

from __future__ import annotations

import importlib
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured

_PACKAGE = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"


def _module(name: str) -> Any:  # noqa: ANN401 - one of two packages
    try:
        return importlib.import_module(_PACKAGE + name)
    except ImportError as exc:
        raise ImproperlyConfigured(
            f"the Tasks framework is part of Django 6.0 and later, this is {django.get_version()}: "
            "install the package django-tasks, or upgrade"
        ) from exc


framework = _module("")
base = _module(".base")
exceptions = _module(".exceptions")
signals = _module(".signals")
BaseTaskBackend: Any = _module(".backends.base").BaseTaskBackend
InvalidTask: Any = getattr(exceptions, "InvalidTask", None) or exceptions.InvalidTaskError
