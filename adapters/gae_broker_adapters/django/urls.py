"""Where deferred calls are sent; in the project's URLconf: ``path("", include("gae_broker_adapters.django.urls"))``."""

from __future__ import annotations

from django.urls import path

from gae_broker_adapters.django.views import run_deferred
from gae_broker_adapters.guard import DEFERRED_PATH

urlpatterns = [path(DEFERRED_PATH.removeprefix("/"), run_deferred, name="gae_broker_deferred")]
