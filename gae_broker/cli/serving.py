"""Runs ``gae-broker serve``; apart from its options, whose help need not wait for all of this to be imported."""

from __future__ import annotations

import contextlib

from gae_broker.cli.opened import opened
from gae_broker.cli.session import Session
from gae_broker.cli.signals import die_of, run_until_signalled
from gae_broker.domain.access_tokens import AccessTokens
from gae_broker.domain.queue import AclEntry, Mode, Queue
from gae_broker.settings import Settings, variable
from gae_broker.web.rest.server import RestServer


def run(session: Session, settings: Settings) -> None:
    """Serve until a signal comes, then die of it.

    Args:
        session: the command's.
        settings: its settings.

    Raises:
        Error: broker or queues cannot be had, or it would be open to anybody.
        OSError: the port cannot be had.
    """
    with contextlib.ExitStack() as stack:
        # Before the broker: while that is waited for, the process lives and is not ready.
        server = RestServer(settings)
        stack.callback(server.close)
        session.tell(f"Listening on http://{server.address}/, probes at /healthz and /readyz.")
        runtime = stack.enter_context(opened(session, patient=True))
        stack.callback(server.close)  # before the runtime, which requests use
        queues = [queue for queue in runtime.catalog.queues() if queue.mode is Mode.PULL]
        for text in warnings(queues, settings.serve_tokens):
            session.warn(text)
        names = ", ".join(queue.name for queue in queues) or "no pull queue"

        async def begin() -> None:
            # Not before signals are heard: a request that came in between would be cut off.
            server.attach(runtime)
            session.tell(f"Serving {names} of {settings.show('url')}.")
            await server.ended()

        received = run_until_signalled(session, begin, server.stop, settings.drain_timeout_s)
    die_of(received)  # not before all is closed: a file that nobody has open is whole without its -wal


def warnings(queues: list[Queue], tokens: AccessTokens) -> list[str]:
    """What of the tokens and ``acl`` entries is probably not meant."""
    if not tokens:
        return [f"there is no {variable('serve_tokens')}: every program of this machine may use every pull queue"]
    known = {email.casefold() for email in tokens.emails}
    named = {email.casefold() for queue in queues for entry in queue.acl for email in _emails(entry)}
    found = [f"queue '{queue.name}' has no acl in queue.yaml: nobody may use it" for queue in queues if not queue.acl]
    found += [
        f"{email} has a token, but no queue's acl names it" for email in tokens.emails if email.casefold() not in named
    ]
    return found + [f"no token is set for {email}, which an acl names" for email in sorted(named - known)]


def _emails(entry: AclEntry) -> list[str]:
    return [email for email in (entry.user_email, entry.writer_email) if email]
