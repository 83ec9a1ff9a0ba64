"""The Django app: what starts with the project."""

from __future__ import annotations

from django.apps import AppConfig


class GaeBrokerConfig(AppConfig):
    """The app ``gae_broker``."""

    name = "gae_broker_adapters.django"
    label = "gae_broker"
    verbose_name = "Task queues"
    default_auto_field = "django.db.models.BigAutoField"
