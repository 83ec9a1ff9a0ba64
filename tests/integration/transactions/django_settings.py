"""A Django project whose database ``APP_DATABASE`` names, as SQLAlchemy would write it."""

import os
from urllib.parse import urlsplit


def database(url: str) -> dict[str, object]:
    """The entry of ``DATABASES`` for a database."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path[1:] or ":memory:"}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password,
    }


SECRET_KEY = "of-a-project-in-tests-only"
INSTALLED_APPS = ["gae_broker_adapters.django"]
DATABASES = {"default": database(os.environ.get("APP_DATABASE", "sqlite:///:memory:"))}
USE_TZ = True
