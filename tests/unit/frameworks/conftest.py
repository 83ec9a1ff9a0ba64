"""What tests of frameworks share."""

from __future__ import annotations

from tests.unit.frameworks.fixtures import _django_is_set_up, django_site, front_of

__all__ = ["_django_is_set_up", "django_site", "front_of"]
