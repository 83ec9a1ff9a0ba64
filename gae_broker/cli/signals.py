"""Ends what runs until it is stopped: the first signal drains, the second does not wait, the status tells the truth."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from gae_broker.cli.session import Session

_DIED_OF = 128
"""Added to a signal's number where a status tells of it, as shells and Docker do."""

HANDLED = (signal.SIGINT, signal.SIGTERM)


def run_until_signalled(
    session: Session, begin: Callable[[], Awaitable[None]], stop: Callable[[], None], drain_s: float
) -> signal.Signals | None:
    """Run until it ends or a signal comes; after a second signal, die of the first, at once.

    Args:
        session: told that the end is near.
        begin: runs until it was stopped.
        stop: called for each signal: the first time to drain, the second to end at once.
        drain_s: how long draining may take.

    Returns:
        The signal that came: close what is open, then `die_of` it.
    """
    received = asyncio.run(_run(session, begin, stop, drain_s))
    if not received:
        return None
    for number in HANDLED:  # whoever is waiting for the closing need not
        signal.signal(number, signal.SIG_DFL)
    if len(received) > 1:
        die_of(received[0])
    return received[0]


def die_of(number: signal.Signals | None) -> None:
    """End as the signal would have ended this, so that whoever started this sees it; without one, go on."""
    if number is not None:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        os._exit(_DIED_OF + number)  # still here: a container's first process does not die of signals


async def _run(
    session: Session, begin: Callable[[], Awaitable[None]], stop: Callable[[], None], drain_s: float
) -> list[signal.Signals]:
    received: list[signal.Signals] = []

    def handle(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            session.tell(f"{number.name}: finishing what runs, for {drain_s:g} s at most; again to end at once.")
        stop()

    loop = asyncio.get_running_loop()
    for number in HANDLED:
        loop.add_signal_handler(number, handle, number)
    try:
        await begin()
    finally:
        for number in HANDLED:
            loop.remove_signal_handler(number)
    return received
