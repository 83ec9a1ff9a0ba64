"""Deferred calls, a form that only its own pages may send, and a view of everything else."""

from django.urls import include, path, re_path

from tests.apps.django_site import views

urlpatterns = [
    path("", include("gae_broker_adapters.django.urls")),
    path("form", views.form),
    re_path("", views.anything),
]
