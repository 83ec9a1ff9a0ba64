"""The Django app: what starts with the project."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed

from gae_broker.engine import runtime
from gae_broker_adapters.django import configuration, outbox
from gae_broker_adapters.django.checks import check_deployment, check_project


class GaeBrokerConfig(AppConfig):
    """The app ``gae_broker``: takes settings from the project's, and checks them with its own."""

    name = "gae_broker_adapters.django"
    label = "gae_broker"
    verbose_name = "Task queues"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read settings from the project's from now on (when they are needed, not now), and find its transactions."""
        outbox.register()
        runtime.configure(configuration.find)
        setting_changed.connect(_configure_again, dispatch_uid=self.label)
        checks.register(check_project, self.label)
        checks.register(check_deployment, self.label, deploy=True)


def _configure_again(*, setting: str, **_: object) -> None:
    """Tests override settings; what was read before counts no more."""
    if setting == configuration.NAME:
        runtime.configure(configuration.find)
