"""Where an ``embedded:`` url points."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from gae_broker.errors import SettingsError


def path_of(url: str) -> Path | None:
    """The file's absolute path; ``None`` for a broker in memory.

    ``embedded:///tasks.db`` is relative to the working directory, ``embedded:////var/tasks.db`` absolute,
    ``embedded://`` in memory (SQLAlchemy's convention for ``sqlite:``).

    Raises:
        SettingsError: the url is not of these forms.
    """
    parts = urlsplit(url)
    if parts.scheme != "embedded" or parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"broker url {url!r}: expected embedded:///relative.db, embedded:////absolute.db or embedded://",
        )
    path = unquote(parts.path).removeprefix("/")
    return Path(path).absolute() if path else None
