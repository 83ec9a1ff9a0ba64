"""The Django app, as a project has it."""

from __future__ import annotations

from django.apps import apps


def test_the_app_is_found_by_its_package():
    assert apps.get_app_config("gae_broker").name == "gae_broker_adapters.django"
