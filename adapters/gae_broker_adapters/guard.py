"""Tells the dispatcher's requests from all others: what the WSGI and ASGI middleware and the frameworks' share.

A request is judged in two steps, so that nothing is read or stored for a stranger: `Guard.judge` looks at its head, and
where that is signed, `Guard.accept` at the body that was received.
"""

from __future__ import annotations

import logging
import posixpath
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from gae_broker.domain import signing
from gae_broker.domain.loopback import is_loopback_address
from gae_broker.domain.origin import Origin
from gae_broker.domain.replays import Replays
from gae_broker.domain.security_settings import Unsigned
from gae_broker.domain.signing import Refusal, Signature
from gae_broker.errors import ConfigurationError
from gae_broker.settings import Settings, variable

QUEUE_PATHS = "/_ah/queue"
DEFERRED_PATH = "/_ah/queue/deferred"

FORWARDING = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"})
"""Headers that a proxy adds: whoever sent such a request need not be on this machine."""

_US = 1_000_000
_SHOWN = 200

_log = logging.getLogger("gae_broker.security")


class ReplayMemory(Protocol):
    """Remembers signatures. Called from any thread; one that several processes share makes a replay known to all."""

    def remember(self, mac: bytes, time_us: int, now_us: int) -> Refusal | None:
        """Take a verified signature, once; why not, where it cannot be taken. Atomic.

        It may be forgotten when ``time_us`` is longer ago than the window of the settings.
        """


class ProcessReplays:
    """The memory of one process.

    Args:
        window_us: how long signatures are valid.
        capacity: how many are remembered at most.
    """

    def __init__(self, window_us: int, capacity: int = 500_000) -> None:
        self._replays = Replays(window_us, capacity)
        self._lock = threading.Lock()

    def remember(self, mac: bytes, time_us: int, now_us: int) -> Refusal | None:
        """As `ReplayMemory.remember`."""
        with self._lock:
            return self._replays.remember(mac, time_us, now_us)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as it is judged by.

    Attributes:
        method: as it came.
        path: all of it, percent-decoded.
        inner_path: of these, what the application sees behind the place where it is mounted.
        query: as it came.
        headers: those that only the dispatcher may send, however written, each as often as it came.
        content_type: empty where there is none.
        signatures: the values of `signing.SIGNATURE`.
        remote: the sender's address; empty where it is not known.
        is_forwarded: whether a header of `FORWARDING` is there.
        origin: what this process itself knows of it.
    """

    method: str
    path: bytes
    inner_path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    content_type: bytes
    signatures: tuple[str, ...]
    remote: str
    is_forwarded: bool
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a request. With none of these, it is a stranger's: pass it on without its reserved headers.

    Attributes:
        refusal: answer 403.
        origin: it is the dispatcher's.
        signature: its head is the dispatcher's; receive at most ``signature.length`` bytes of its body, then `accept`.
    """

    refusal: Refusal | None = None
    origin: Origin | None = None
    signature: Signature | None = None


class Guard:
    """Judges requests; safe to use from several threads.

    Args:
        settings: keys, window, signed paths, and what to do without keys; what `Settings.load` finds by default.
        signed_paths: more paths that only the dispatcher may ask for, as the setting of this name.
        stripped_prefix: what a proxy takes off the path of each request before it comes here.
        replays: where received signatures are remembered; in this process by default.

    Raises:
        ConfigurationError: unsigned requests are to be believed although there are keys.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        signed_paths: Iterable[str] = (),
        stripped_prefix: str = "",
        replays: ReplayMemory | None = None,
    ) -> None:
        settings = Settings.load() if settings is None else settings
        self._keys = settings.signing_keys
        self._window_us = round(settings.signing_window_s * _US)
        self._replays: ReplayMemory = replays or ProcessReplays(self._window_us)
        self._prefix = stripped_prefix.rstrip("/").encode()
        self._believes_loopback = settings.unsigned_requests == Unsigned.LOOPBACK
        paths = [QUEUE_PATHS, *settings.signed_paths, *signed_paths]
        self._signed_paths = tuple(path.removesuffix("*").rstrip("/").lower().encode() for path in paths)
        self._announce()

    def judge(self, asked: Asked) -> Verdict:
        """Judge a request by its head."""
        if asked.origin is not None:
            return Verdict(origin=asked.origin)
        if asked.signatures:
            return self._judge_signed(asked)
        if self._is_believed(asked):
            return Verdict(origin=Origin.LOOPBACK)
        return Verdict(refusal=Refusal.UNSIGNED) if self._must_be_signed(asked) else Verdict()

    def accept(self, signature: Signature, length: int, digest: bytes) -> Refusal | None:
        """Why a request whose head was signed is not taken after all; ``None``: it is the dispatcher's, this once.

        Args:
            signature: of the verdict.
            length: bytes of the body that came.
            digest: their SHA-256.
        """
        if length != signature.length or digest != signature.body_hash:
            return Refusal.BODY
        return self._replays.remember(signature.mac, signature.time_us, _now_us())

    def refuse(self, asked: Asked, refusal: Refusal) -> tuple[HTTPStatus, str]:
        """Log a refusal, without anything of the request's content; the answer to give."""
        path = asked.path.decode("utf-8", "backslashreplace")
        shown = ascii(path if len(path) <= _SHOWN else path[:_SHOWN] + "...")
        _log.warning(
            "refused a request for %s from %s: %s",
            shown,
            asked.remote or "an unknown address",
            refusal,
            extra={"event": "request.refused", "path": shown, "remote": asked.remote, "reason": refusal.name.lower()},
        )
        return HTTPStatus.FORBIDDEN, f"This is not taken for a request of the task queue: {refusal}.\n"

    def _judge_signed(self, asked: Asked) -> Verdict:
        signature = signing.parse(asked.signatures[0]) if len(asked.signatures) == 1 else None
        if signature is None:
            return Verdict(refusal=Refusal.MALFORMED)
        head = signing.head_of(
            asked.method,
            self._prefix + asked.path,
            asked.query,
            asked.headers,
            content_type=asked.content_type,
            has_body=signature.length > 0,
        )
        refusal = signing.verify(self._keys, signature, head, _now_us(), self._window_us)
        return Verdict(signature=signature) if refusal is None else Verdict(refusal=refusal)

    def _is_believed(self, asked: Asked) -> bool:
        if not self._believes_loopback or asked.is_forwarded or not is_loopback_address(asked.remote):
            return False
        return any(signing.normal(name) == b"x-appengine-taskname" for name, _ in asked.headers)

    def _must_be_signed(self, asked: Asked) -> bool:
        """Whether a path is a task's, also where it is written so that only a router would find that out."""
        paths = [asked.path, asked.inner_path]
        paths = [path.lower() for path in (*paths, *map(_plain, paths))]
        return any(path == signed or path.startswith(signed + b"/") for path in paths for signed in self._signed_paths)

    def _announce(self) -> None:
        if self._believes_loopback and self._keys:
            raise ConfigurationError(
                f"unsigned_requests is 'loopback' although there are signing keys: "
                f"unset {variable('unsigned_requests')}, which is for development without keys"
            )
        if self._believes_loopback:
            _log.warning(
                "UNSIGNED TASK REQUESTS ARE BELIEVED: whoever can send requests from this machine can run any task; "
                "a proxy on it lets everybody do so. For development only; set %s elsewhere.",
                variable("signing_keys"),
            )
        elif not self._keys:
            _log.warning(
                "there are no signing keys: task requests over HTTP are refused; set %s here and for the dispatcher, "
                "or, for development, %s=loopback",
                variable("signing_keys"),
                variable("unsigned_requests"),
            )


def is_reserved(name: str) -> bool:
    """Whether only the dispatcher may send a header of this name."""
    return name.strip().lower().replace("_", "-").startswith(signing.RESERVED)


def _plain(path: bytes) -> bytes:
    """A path without empty and dot segments, as some servers and routers make it before they look where it leads."""
    return posixpath.normpath(b"/" + path.lstrip(b"/"))


def _now_us() -> int:
    return time.time_ns() // 1000
