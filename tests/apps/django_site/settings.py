"""The project's settings; the database is in memory unless ``SITE_DATABASE`` names a file."""

import os

import django

SECRET_KEY = "of-a-site-that-is-served-to-tests-only"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
ROOT_URLCONF = "tests.apps.django_site.urls"
WSGI_APPLICATION = "tests.apps.django_site.wsgi.application"
INSTALLED_APPS = ["gae_broker_adapters.django", *([] if django.VERSION >= (6, 0) else ["django_tasks"])]
MIDDLEWARE = [
    "gae_broker_adapters.django.middleware.TaskQueueMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SITE_DATABASE", ":memory:")},
}
TASKS = {"default": {"BACKEND": "gae_broker_adapters.django.tasks.GaeTaskBackend", "QUEUES": ["default", "mail"]}}
USE_TZ = True
