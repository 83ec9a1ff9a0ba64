"""The project's settings; the database is in memory unless ``SITE_DATABASE`` names a file."""

import os

SECRET_KEY = "of-a-site-that-is-served-to-tests-only"
ALLOWED_HOSTS = ["localhost", "testserver"]
INSTALLED_APPS = ["gae_broker_adapters.django"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SITE_DATABASE", ":memory:")},
}
USE_TZ = True
