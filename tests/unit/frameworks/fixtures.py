"""A Django project that is set up once in a process, and the frameworks as servers call them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest

from gae_broker.engine import runtime
from tests.unit.frameworks.seen import SEEN


@pytest.fixture(scope="session")
def _django_is_set_up() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SETTINGS_MODULE", "tests.apps.django_site.settings")
        django.setup()
        yield


@pytest.fixture
def django_site(_django_is_set_up: None) -> Iterator[None]:
    """The project; where settings come from is as before afterwards."""
    from gae_broker_adapters.django import configuration  # noqa: PLC0415 - after the project's settings can be read

    runtime.configure(configuration.find)
    yield
    runtime.configure(None)


@pytest.fixture
def front_of(django_site: None) -> Iterator[Callable[..., Any]]:
    """Makes a front of `FRONTS` by its name, with settings."""
    from tests.unit.frameworks.fronts import FRONTS  # noqa: PLC0415 - as above

    made: list[Any] = []

    def make(name: str, **settings: object) -> Any:
        made.append(FRONTS[name](**settings))
        return made[-1]

    SEEN.clear()
    yield make
    for front in made:
        front.close()
    SEEN.clear()
