"""Settings from the project's: ``GAE_BROKER = {"url": ..., "queue_yaml": BASE_DIR / "queue.yaml", ...}``."""

from __future__ import annotations

import os
from collections.abc import Mapping

from django.conf import settings as project

from gae_broker.application_configuration import Found
from gae_broker.errors import SettingsError
from gae_broker.settings import from_table

NAME = "GAE_BROKER"
SOURCE = f"{NAME} in the Django settings"


def find() -> Found:
    """What the project's settings say now; the keys are those of ``gae-broker.toml``, in either case.

    Raises:
        SettingsError: they are no dict, or a key is unknown.
    """
    table = getattr(project, NAME, None)
    if table is None:
        return {}
    if not isinstance(table, Mapping):
        raise SettingsError(
            f'{SOURCE}: found {type(table).__name__}, expected a dict like {{"url": "amqp://user@host/vhost"}}'
        )
    given = {str(key).lower(): _plain(value) for key, value in table.items() if value is not None}
    return from_table(given, SOURCE)


def _plain(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
