"""Answers a lease, a batch of tasks at a time: any number of large payloads passes through little memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gae_broker.errors import Error
from gae_broker.web.rest.answers import JSON, as_json
from gae_broker.web.rest.methods import LEASED_KIND
from gae_broker.web.rest.partial import Fields

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
OffLoop = Callable[[Callable[[], _T]], Awaitable[_T]]
LEASED = "gae_broker.leased"
"""Key of the scope: how many tasks the answer held."""
_PIECE_BYTES = 64 * 1024
_PATIENCE_S = 60.0
"""How long a client may take to read a piece, before its connection is closed: what waits for it takes memory."""


class LeaseResponse(Response):
    """The answer to a lease; nothing is leased before it is sent.

    If leasing fails after tasks were sent, the answer ends properly with those: they are leased, and the client has
    fewer than it asked for, as is always possible. A client that is gone is leased nothing more.

    Args:
        batches: leases a batch and gives its tasks, when it is asked.
        off_loop: runs what waits in a thread.
        room: limits how many of these are under way.
        fields: which part of the answer is wanted.
        pretty: whether the answer has line breaks.
    """

    media_type = JSON

    def __init__(
        self,
        batches: Iterator[list[dict[str, Any]]],
        off_loop: OffLoop[list[bytes] | None],
        room: asyncio.Semaphore,
        fields: Fields,
        *,
        pretty: bool,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._batches = batches
        self._off_loop = off_loop
        self._room = room
        self._fields = fields
        self._pretty = pretty

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lease and send, in turn."""
        async with self._room:
            batch = await self._off_loop(self._next)  # what this raises is answered: nothing was sent yet
            try:
                await self._send_all(batch, scope, receive, _impatient(send))
            except TimeoutError:
                # Returning without an end of the body closes the connection, so the client knows that this is not all.
                _log.warning("a client did not read its leased tasks for %d s; its connection is closed", _PATIENCE_S)

    async def _send_all(self, batch: list[bytes] | None, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        scope[LEASED] = 0
        opening, between, closing = self._frame(some=batch is not None)
        piece = bytearray(opening)
        while batch is not None:
            batch.reverse()
            while batch:
                piece += between if scope[LEASED] else b""
                piece += batch.pop()
                scope[LEASED] += 1
                if len(piece) >= _PIECE_BYTES:
                    await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})
                    piece.clear()
            if await Request(scope, receive).is_disconnected():
                return
            batch = await self._further()
        await send({"type": "http.response.body", "body": bytes(piece) + closing, "more_body": False})

    async def _further(self) -> list[bytes] | None:
        try:
            return await self._off_loop(self._next)
        except Error as exc:
            _log.warning("a lease ends early, with the tasks that it has: %s", exc)
            return None

    def _next(self) -> list[bytes] | None:
        """Lease a batch, and make text of each task; ``None``: there are no more."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        wanted = self._fields.below("items")
        texts = []
        batch.reverse()
        while batch:
            item = batch.pop()
            if wanted is not None:
                text = as_json(wanted.of(item), pretty=self._pretty)
                texts.append(text.replace(b"\n", b"\n  ") if self._pretty else text)
        return texts

    def _frame(self, *, some: bool) -> tuple[bytes, bytes, bytes]:
        """What stands before, between and behind the tasks."""
        head = as_json(self._fields.of({"kind": LEASED_KIND}), pretty=self._pretty)
        if not some or self._fields.below("items") is None:
            return head, b"", b"\n" if self._pretty else b""
        before = head.removesuffix(b"}").rstrip()
        comma = b"," if before != b"{" else b""
        if self._pretty:
            return before + comma + b'\n "items": [\n  ', b",\n  ", b"\n ]\n}\n"
        return before + comma + b'"items":[', b",", b"]}"


def _impatient(send: Send) -> Send:
    async def sent(message: Message) -> None:
        await asyncio.wait_for(send(message), _PATIENCE_S)

    return sent
