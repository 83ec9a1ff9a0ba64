"""Runs ``gae-broker relay``, and the relay of ``gae-broker dispatch``."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from gae_broker import registry
from gae_broker.cli.confirm import count
from gae_broker.cli.opened import opened
from gae_broker.cli.session import Session
from gae_broker.cli.signals import die_of, run_until_signalled
from gae_broker.domain.setting_values import mask
from gae_broker.engine.outbox import Relay
from gae_broker.engine.relaying import Relayer
from gae_broker.engine.runtime import Runtime
from gae_broker.errors import TransientError
from gae_broker.settings import Settings

_EVERY_S = 1.0


def relay_once(session: Session, settings: Settings) -> None:
    """Enqueue what is committed now.

    Raises:
        Error: database, broker or queues cannot be had, or a task was refused; it stays.
    """
    with contextlib.closing(registry.open_outbox(settings.outbox)) as outbox, opened(session) as runtime:
        relayed = Relay(outbox, lambda: runtime).run()
        session.tell(f"{count(relayed.tasks, 'task')} enqueued.")
        if relayed.error is not None:
            raise relayed.error
        if relayed.left:
            raise TransientError("another relay holds what is left; run this again in a minute to be sure of it")


def run(session: Session, settings: Settings) -> None:
    """Relay until a signal comes, then die of it.

    Raises:
        Error: broker or queues cannot be had.
    """
    with contextlib.ExitStack() as stack:
        runtime = stack.enter_context(opened(session, patient=True))
        relayer = stack.enter_context(_relayer(settings, runtime))
        session.tell(f"Relaying from {mask(settings.outbox)}.")
        received = run_until_signalled(
            session, lambda: asyncio.to_thread(relayer.run), relayer.stop, settings.publish_deadline_s
        )
    die_of(received)


@contextlib.contextmanager
def beside(settings: Settings, runtime: Runtime) -> Iterator[None]:
    """Relay in a thread within the block, where an outbox is set."""
    if not settings.outbox:
        yield
        return
    with _relayer(settings, runtime) as relayer:
        thread = threading.Thread(target=relayer.run, name="gae-broker-relay")
        thread.start()
        try:
            yield
        finally:
            relayer.stop()
            thread.join()


@contextlib.contextmanager
def _relayer(settings: Settings, runtime: Runtime) -> Iterator[Relayer]:
    with contextlib.closing(registry.open_outbox(settings.outbox)) as outbox:
        yield Relayer(Relay(outbox, lambda: runtime), mask(settings.outbox), every_s=_EVERY_S)
