"""``--version``: what a bug report needs."""

from __future__ import annotations

import platform
from importlib import metadata

from gae_broker import __version__

_STANDS_ON = ("aiohttp", "click", "cloudpickle", "pika", "PyYAML", "SQLAlchemy", "uvicorn", "a2wsgi", "psycopg")


def version_text() -> str:
    """One line each: this, Python, and the packages that are installed."""
    lines = [
        f"gae-broker {__version__}",
        f"Python {platform.python_version()} ({platform.python_implementation()}, {platform.platform()})",
    ]
    for name in _STANDS_ON:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return "\n".join(lines)
