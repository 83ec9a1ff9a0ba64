"""Runs ``gae-broker dispatch``; apart from its options, whose help need not wait for all of this to be imported."""

from __future__ import annotations

import asyncio
import contextlib

from gae_broker.cli import relaying
from gae_broker.cli.opened import opened
from gae_broker.cli.session import Session
from gae_broker.cli.signals import die_of, run_until_signalled
from gae_broker.engine.dispatcher import Dispatcher
from gae_broker.settings import Settings


def run(session: Session, settings: Settings, names: list[str] | None) -> None:
    """Dispatch until a signal comes, then die of it.

    Args:
        session: the command's.
        settings: its settings.
        names: the queues to serve; ``None``: every push queue.

    Raises:
        Error: broker, queues or targets cannot be had.
        OSError: the probes' port cannot be had.
    """
    with contextlib.ExitStack() as stack:
        pulse = None
        if settings.probe_bind:
            from gae_broker.web.probes import ProbeServer  # noqa: PLC0415 - only who asks for probes waits for it

            # Before the broker: while that is waited for, the process lives and is not ready.
            probes = stack.enter_context(ProbeServer(settings))
            session.tell(f"Probes on http://{probes.address}/livez and /readyz.")
            pulse = probes.pulse
        runtime = stack.enter_context(opened(session, patient=True))
        stack.enter_context(relaying.beside(settings, runtime))
        dispatcher = Dispatcher(runtime, names)

        async def begin() -> None:
            beating = asyncio.create_task(pulse.beat()) if pulse is not None else None
            try:
                await dispatcher.run()
            finally:
                if beating is not None:
                    beating.cancel()

        session.tell(f"Dispatching {', '.join(names) if names else 'every push queue'} to {settings.show('targets')}.")
        received = run_until_signalled(session, begin, dispatcher.stop, settings.drain_timeout_s)
    die_of(received)  # not before all is closed: a file that nobody has open is whole without its -wal
