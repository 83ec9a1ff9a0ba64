"""Opens the queues for one command."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gae_broker.cli.command import describe
from gae_broker.cli.session import Session
from gae_broker.cli.settings_flags import load_settings
from gae_broker.errors import TransientError
from gae_broker.settings import DEFAULT_SOURCE, unknown_variables

if TYPE_CHECKING:
    from gae_broker.engine.runtime import Runtime

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0


@contextlib.contextmanager
def opened(session: Session, *, patient: bool = False) -> Iterator[Runtime]:
    """The runtime that the session's settings describe, in use within the block and closed after it.

    Args:
        session: the command's.
        patient: try until broker and ledger can be reached, rather than fail: what starts together with them
            should not crash until they are up.

    Raises:
        ConfigurationError: a setting or queue.yaml cannot be used.
        TransientError: broker or ledger cannot be reached.
    """
    from gae_broker.engine import runtime  # noqa: PLC0415 - --help of a command must be quick

    for text in unknown_variables(os.environ):
        session.warn(text)
    with _open(session, patient=patient) as found, runtime.using(found):
        for warning in found.catalog.file.warnings:
            session.warn(warning)
        if found.catalog.file.path is None and found.settings.source("queue_yaml") != DEFAULT_SOURCE:
            named = found.settings.queue_yaml
            session.warn(
                f"there is no {named} (from {found.settings.source('queue_yaml')}): only the queue 'default' exists"
            )
        yield found


def _open(session: Session, *, patient: bool) -> Runtime:
    from gae_broker.engine.runtime import Runtime  # noqa: PLC0415 - as above

    settings = load_settings(session)
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return Runtime.open(settings)
        except TransientError as exc:
            if not patient:
                raise
            if pause_s == _FIRST_PAUSE_S:
                session.warn(f"{describe(exc)}; waiting until it can be used")
        # Not all at the same moment, where many dispatchers wait for one broker.
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
