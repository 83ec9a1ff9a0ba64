"""Opens the queues for one command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gae_broker.cli.session import Session
from gae_broker.cli.settings_flags import load_settings
from gae_broker.engine import runtime
from gae_broker.engine.runtime import Runtime


@contextlib.contextmanager
def opened(session: Session) -> Iterator[Runtime]:
    """The runtime that the session's settings describe, in use within the block and closed after it.

    Raises:
        ConfigurationError: a setting or queue.yaml cannot be used.
        TransientError: broker or ledger cannot be reached.
    """
    with Runtime.open(load_settings(session)) as found, runtime.using(found):
        for warning in found.catalog.file.warnings:
            session.warn(warning)
        yield found
