"""Empties the embedded store, for ``dev --reset``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from gae_broker.cli.session import Session
from gae_broker.errors import SettingsError
from gae_broker.settings import Settings

_SCHEME = "embedded:///"


def empty(session: Session, settings: Settings) -> None:
    """Remove the embedded broker's file; what lives in memory is empty anyway.

    Raises:
        SettingsError: the broker is another one, or the ledger is kept elsewhere.
        OSError: the file cannot be removed.
    """
    if not settings.url.startswith("embedded://"):
        raise SettingsError(
            f"--reset empties embedded stores only, not {settings.show('url')}; purge its queues instead"
        )
    if settings.ledger:
        raise SettingsError("--reset cannot empty a ledger of its own; unset GAE_BROKER_LEDGER, or purge the queues")
    if not settings.url.startswith(_SCHEME):
        return
    path = Path(unquote(settings.url.removeprefix(_SCHEME)))
    existed = path.exists()
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if existed:
        session.tell(f"{path} is removed: the store is empty.")
