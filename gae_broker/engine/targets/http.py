"""A target behind HTTP, called with aiohttp."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Sequence
from typing import cast

import aiohttp
from yarl import URL

from gae_broker import __version__
from gae_broker.domain.attempt import Outcome
from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.signing import wire_url
from gae_broker.engine.targets.authorizing import AuthorizationError, Authorizer
from gae_broker.engine.targets.deadlines import Deadlines
from gae_broker.engine.targets.failures import EXCERPT, READ_LIMIT, answered, overdue, unanswered
from gae_broker.engine.targets.hand import Hand, Numbered
from gae_broker.engine.targets.local import refuse_hasty
from gae_broker.engine.targets.target import Job
from gae_broker.engine.targets.window import PERIOD_S, Window
from gae_broker.ports import Clock

_US = 1_000_000
_KEEPALIVE_S = 1.0  # less than servers commonly wait before they close, or the close would meet the next request
_SPARE_FILES = 128
_OF_THE_CONNECTION = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"},
)


class HttpTarget:
    """Sends requests to ``base``; at most ``limit`` at a time, and never more than the process may open files.

    An ``authorizer`` sets the requests' ``Authorization``, whatever the task says in its own.

    Redirects are not followed, cookies not kept, proxies not used, bodies not decoded and not read beyond 64 KiB:
    an attempt's outcome is the status of the answer.
    """

    def __init__(self, base: str, limit: int, clock: Clock, authorizer: Authorizer | None = None) -> None:
        self._base = base.rstrip("/")
        self._authorizer = authorizer
        self._clock = clock
        self._hand = Hand()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._limit = limit
        self._window = Window()
        self._period: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Get ready; connections are made as they are needed."""
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
            headers={"User-Agent": f"gae-broker/{__version__}"},
        )

    def expect(self, concurrency: int) -> None:
        """As `Target.expect`: no more connections than that."""
        self._limit = concurrency

    def room(self) -> int:
        """As `Target.room`."""
        return self._window.room(len(self._hand), self._capacity())

    def when_room(self, notify: Callable[[], None]) -> None:
        """As `Target.when_room`."""
        self._window.filled()
        self._hand.when_room(notify)

    def start(self, jobs: Sequence[Job]) -> None:
        """As `Target.start`; nothing waits here, so nothing is ever given back."""
        free = self._capacity() - len(self._hand)
        for numbered in self._hand.take(refuse_hasty(jobs, free, self._clock, self._loop)):
            task = self._loop.create_task(self._run(numbered))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._period is None:
            self._period = self._loop.call_later(PERIOD_S, self._end_period)

    def withdraw(self) -> None:
        """Nothing to do: every attempt begins at once."""

    async def close(self) -> None:
        """As `Target.close`."""
        self._hand.forget()
        if self._period is not None:
            self._period.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            self._deadlines.close()
            await self._session.close()
            self._session = None

    def _capacity(self) -> int:
        return max(min(self._limit, _most_files() - _SPARE_FILES), 1)

    def _end_period(self) -> None:
        self._period = None
        self._window.period(self._capacity())
        self._hand.notify()
        if len(self._hand):
            self._period = self._loop.call_later(PERIOD_S, self._end_period)

    async def _run(self, numbered: Numbered) -> None:
        number, request = numbered
        started_us = self._clock.now_us()
        outcome = await self._attempt(request, started_us)
        self._window.ended()
        self._hand.resolve([(number, outcome)])

    async def _attempt(self, request: HttpRequest, started_us: int) -> Outcome:
        task, deadline_s = cast("asyncio.Task[None]", asyncio.current_task()), request.deadline_us / _US
        self._deadlines.begin(task, deadline_s)
        try:
            status, body = await self._exchange(request)
        except asyncio.CancelledError:
            if not self._deadlines.is_over(task):
                raise
            reason = overdue(request.deadline_us)
        except TimeoutError as exc:
            reason = f"connection timed out: {exc}"
        except AuthorizationError as exc:
            reason = str(exc)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            reason = _reason(exc)
        else:
            return answered(status, started_us, self._clock, body)
        finally:
            self._deadlines.end(task, deadline_s)
        return unanswered(reason, started_us, self._clock)

    async def _exchange(self, request: HttpRequest) -> tuple[int, bytes]:
        if self._session is None:
            raise aiohttp.ClientConnectionError("the dispatcher is stopping")
        headers = [item for item in request.headers if item[0].lower() not in _OF_THE_CONNECTION]
        if self._authorizer is not None:
            value = await self._authorizer.value(request)
            headers = [item for item in headers if item[0].lower() != "authorization"]
            headers += [] if value is None else [("Authorization", value)]
        async with self._session.request(
            request.method,
            _address(self._base, request.url),
            headers=headers,
            data=request.body or None,
            allow_redirects=False,
        ) as response:
            return response.status, await _beginning(response)


@functools.lru_cache(maxsize=256)  # many tasks, few urls
def _address(base: str, url: str) -> URL:
    return URL(base + wire_url(url), encoded=True)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read the body up to `READ_LIMIT`; if there is more, the connection is closed rather than read to its end."""
    kept, length = b"", 0
    async for chunk in response.content.iter_any():
        kept = (kept + chunk)[:EXCERPT] if len(kept) < EXCERPT else kept
        length += len(chunk)
        if length >= READ_LIMIT:
            response.close()
            break
    return kept


def _reason(exc: Exception) -> str:  # noqa: PLR0911 - one line a kind of failure
    match exc:
        case aiohttp.ClientConnectorDNSError():
            return f"host name {exc.host} not found"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return f"no secure connection: {exc}"
        case aiohttp.ClientConnectorError() if isinstance(exc.os_error, ConnectionRefusedError):
            return f"connection refused by {exc.host}:{exc.port}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {exc.host}:{exc.port}: {exc.os_error.strerror or exc.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "connection closed without an answer"
        case aiohttp.ClientPayloadError():
            return "connection closed in the middle of the answer"
        case aiohttp.ClientResponseError():
            return f"not an HTTP answer: {exc.message}"
        case aiohttp.ClientOSError() | OSError():
            return f"connection broken: {exc.strerror or exc}"
        case _:
            return f"request cannot be sent: {exc}"


def _most_files() -> int:
    """How many files this process may have open."""
    try:
        return os.sysconf("SC_OPEN_MAX")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 1_000_000
