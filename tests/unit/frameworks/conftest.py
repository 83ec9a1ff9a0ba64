"""What tests of frameworks share: a Django project, set up once in a process."""

from __future__ import annotations

import django
import pytest


@pytest.fixture(scope="session", autouse=True)
def site():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SETTINGS_MODULE", "tests.apps.django_site.settings")
        django.setup()
        yield
