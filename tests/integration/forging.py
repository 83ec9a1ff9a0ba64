"""Requests as they are on the wire: signed ones, and ways to forge one. For the fuzz test of any integration."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from gae_broker.domain import keyring
from gae_broker.domain.headers import SIGNATURE, HttpRequest
from gae_broker.domain.signing import normal, wire_url
from gae_broker.engine.signing import Signer
from gae_broker.settings import Settings

KEYS = "new:0123456789abcdef0123456789abcdef,old:fedcba9876543210fedcba9876543210"
SETTINGS = Settings(signing_keys=keyring.parse(KEYS), signing_window_s=300)
COUNT = 10_000
_HOUR_US = 3_600_000_000


class At:
    """A clock that stands."""

    def __init__(self, shift_us: int = 0) -> None:
        self.us = time.time_ns() // 1000 + shift_us

    def now_us(self) -> int:
        return self.us


@dataclass(frozen=True)
class Wire:
    """A request as a server reads it."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def get(self, name: str) -> list[bytes]:
        return [value for own, value in self.headers if own.lower() == name.lower().encode()]

    @property
    def received(self) -> bytes:
        """The body, as long as it was said to be: what follows would be another request."""
        lengths = self.get("Content-Length")
        return self.body[: int(lengths[0])] if lengths else b""

    def view(self) -> tuple[object, ...]:
        """All that matters of it to an application, folded as gateways fold it."""
        path, _, query = self.target.partition(b"?")
        said: dict[bytes, bytes] = {}
        for name, value in self.headers:
            key = normal(name)
            is_type = key == b"content-type" and bool(self.received)  # of no body, the type is not signed
            if is_type or key.startswith((b"x-appengine-", b"x-gaebroker-")):
                said[key] = said[key] + b"," + value.strip() if key in said else value.strip()
        return self.method.upper(), unquote_to_bytes(path), query, self.received, tuple(sorted(said.items()))


def task_request(rng: random.Random, url: str | None = None) -> HttpRequest:
    """What the dispatcher would ask."""
    body = rng.randbytes(rng.choice([0, 1, 10, 300]))
    headers = [
        ("x-mine", "1"),
        ("X-AppEngine-QueueName", rng.choice(["default", "mail"])),
        ("X-AppEngine-TaskName", f"t{rng.randrange(10**9)}"),
        ("X-AppEngine-TaskRetryCount", str(rng.randrange(3))),
        ("X-AppEngine-TaskETA", "1700000000.25"),
        ("Content-Length", str(len(body))),
        ("X-AppEngine-TaskExecutionCount", "0"),
        ("X-AppEngine-User-IP", "0.1.0.2"),
    ]
    if body:
        headers.append(("Content-Type", "application/octet-stream"))
    if rng.random() < 0.2:
        headers.append(("x-appengine-current-namespace", "caf\u00e9"))
    chosen = url or rng.choice(
        ["/_ah/queue/default", "/_ah/queue/mail?x=1&y=%20z", "/caf\u00e9/x y?q=\u00fc&r=%zz", "/work"]
    )
    return HttpRequest(rng.choice(["POST", "PUT", "GET"]), chosen, tuple(headers), body, None, 1_000_000)


def on_the_wire(request: HttpRequest) -> Wire:
    headers = tuple((name.encode(), value.encode()) for name, value in request.headers)
    return Wire(request.method, wire_url(request.url).encode(), headers, request.body)


def signed(request: HttpRequest, *, keys: str = KEYS, shift_us: int = 0) -> Wire:
    return on_the_wire(Signer(keyring.parse(keys), At(shift_us)).sign(request))


# ------------------------------------------------------------------------------------------ as servers show it


def environ_of(wire: Wire) -> dict[str, Any]:
    """As a WSGI server makes it: names folded, repeated lines joined."""
    path, _, query = wire.target.partition(b"?")
    made: dict[str, Any] = {
        "REQUEST_METHOD": wire.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(wire.received),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in wire.headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_" + key
        text = value.decode("latin-1")
        made[key] = f"{made[key]},{text}" if key in made else text
    return made


def scope_of(wire: Wire) -> dict[str, Any]:
    """As an ASGI server makes it."""
    path, _, query = wire.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": wire.method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in wire.headers],
        "client": ("127.0.0.1", 50_000),
        "server": ("localhost", 80),
    }


# ------------------------------------------------------------------------------------------ forgeries

Mutation = Callable[[random.Random, Wire], Wire]


def forgeries(seed: int, count: int = COUNT) -> Iterator[tuple[str, Wire, Wire | None]]:
    """(what was done, the forged request, the genuine one that is to be received before it).

    A mutation that happens to change nothing that matters is left out, and another one made in its place.
    """
    rng = random.Random(seed)
    made = 0
    while made < count:
        request = task_request(rng)
        if rng.random() < 0.1:
            genuine = signed(request)
            yield "replayed", genuine, genuine
            made += 1
            continue
        name, mutate = rng.choice(MUTATIONS)
        genuine = signed(request) if name != "shifted" else signed(request, shift_us=rng.choice([-1, 1]) * _HOUR_US)
        forged = mutate(rng, genuine)
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            forged = rng.choice(MUTATIONS)[1](rng, forged)
        if name == "shifted" or forged.view() != genuine.view():
            yield name, forged, None
            made += 1


def _set(wire: Wire, name: str, value: bytes) -> Wire:
    kept = tuple(item for item in wire.headers if item[0].lower() != name.lower().encode())
    return replace(wire, headers=(*kept, (name.encode(), value)))


def _insert(rng: random.Random, wire: Wire, *added: tuple[bytes, bytes]) -> Wire:
    place = rng.randrange(len(wire.headers) + 1)
    return replace(wire, headers=(*wire.headers[:place], *added, *wire.headers[place:]))


def _flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return rng.randbytes(1)
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _chop(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) or 1)]


def _body(rng: random.Random, wire: Wire) -> Wire:
    body = rng.choice([_flip(rng, wire.body), wire.body + rng.randbytes(3), _chop(rng, wire.body), b"", bytes(100_000)])
    changed = replace(wire, body=body)
    return changed if rng.random() < 0.3 else _set(changed, "Content-Length", str(len(body)).encode())


def _method(rng: random.Random, wire: Wire) -> Wire:
    return replace(wire, method=rng.choice(["DELETE", "HEAD", "PATCH", "POST ", "PO\u00d6ST", "", "POST" * 1000]))


def _target(rng: random.Random, wire: Wire) -> Wire:
    path, mark, query = wire.target.partition(b"?")
    return replace(
        wire,
        target=rng.choice(
            [
                path + b"/" + mark + query,
                b"/" + path + mark + query,
                b"/x/.." + path + mark + query,
                path + b"%00" + mark + query,
                path + b"%ff" + mark + query,
                path.replace(b"_ah", b"_AH") + mark + query,
                b"/_ah/queue/deferred",
                b"/",
                path + b"?" + query + b"&admin=1",
                path + b"?" + query + b"\xff\x00",
                path + b"?" + b"x" * 10_000,
                path + b"%zz" * 1000,
                path if query else path + b"?a",
            ]
        ),
    )


def _signature(rng: random.Random, wire: Wire) -> Wire:
    text = (wire.get(SIGNATURE) or [b""])[0]
    return _set(
        wire,
        SIGNATURE,
        rng.choice(
            [
                _flip(rng, text),
                _chop(rng, text),
                text.upper(),
                text + b" ",
                text + b"," + text,
                text.replace(b"key=new", b"key=old"),
                text.replace(b"key=new", b"key=" + rng.randbytes(3)),
                text.replace(b"t=1", b"t=2"),
                text.replace(b"l=", b"l=9"),
                text.replace(b"v1", b"v0"),
                rng.randbytes(200),
                b"",
                "v1 key=\u00f1, t=\u0663".encode(),
                text * 200,
                b"v1 key=new, t=" + b"9" * 5000,
            ]
        ),
    )


def _unsigned(_: random.Random, wire: Wire) -> Wire:
    return replace(wire, headers=tuple(item for item in wire.headers if item[0] != SIGNATURE.encode()))


def _respelt(rng: random.Random, wire: Wire) -> Wire:
    """No signature, and the task's headers in other spellings."""
    spell = rng.choice([bytes.upper, bytes.title, lambda name: name.replace(b"-", b"_"), lambda name: name + b" "])
    return replace(
        wire,
        headers=tuple(
            (spell(name) if name.lower().startswith(b"x-appengine") else name, value)
            for name, value in _unsigned(rng, wire).headers
        ),
    )


def _injected(rng: random.Random, wire: Wire) -> Wire:
    name = rng.choice(
        [
            b"X-AppEngine-QueueName",
            b"x_appengine_taskname",
            b"X-AppEngine_TaskRetryCount",
            b"X-AppEngine-Cron",
            b"X-AppEngine-User-IP",
            b"X-AppEngine-FailFast",
            b"X-AppEngine-\xff",
            b"X-AppEngine-" + b"a" * 5000,
            b"X-GaeBroker-Signature",
            b"X_GaeBroker_Signature",
            b"X-GaeBroker-Other",
        ]
    )
    value = rng.choice(
        [b"", b"forged", b"1" * 70_000, rng.randbytes(20), "\u00e9\u2028".encode(), b"a\r\nX-AppEngine-B: c"]
    )
    return _insert(rng, wire, (name, value))


def _altered(rng: random.Random, wire: Wire) -> Wire:
    own = [item for item in wire.headers if item[0].lower().startswith(b"x-appengine")]
    if not own:
        return _injected(rng, wire)
    name, value = rng.choice(own)
    if rng.random() < 0.2:
        return replace(wire, headers=tuple(item for item in wire.headers if item != (name, value)))
    return _set(wire, name.decode("latin-1"), rng.choice([_flip(rng, value), value + b"0", b"", rng.randbytes(5)]))


def _type(rng: random.Random, wire: Wire) -> Wire:
    return _set(wire, "Content-Type", rng.choice([b"text/html", b"", rng.randbytes(5), b"a" * 9000]))


def _resigned(rng: random.Random, wire: Wire) -> Wire:
    """Signed anew by somebody who knows the id of a key, and not the key."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in _unsigned(rng, wire).headers)
    forged = HttpRequest(wire.method, wire.target.decode("latin-1"), headers, wire.body, None, 1)
    key = rng.choice(
        ["new:guessed-guessed-guessed", "old:guessed-guessed-guessed", "other:0123456789abcdef0123456789abcdef"]
    )
    signature = dict(Signer(keyring.parse(key), At()).sign(forged).headers)[SIGNATURE]
    return _set(wire, SIGNATURE, signature.encode())


def _shifted(_: random.Random, wire: Wire) -> Wire:
    return wire


MUTATIONS: list[tuple[str, Mutation]] = [
    ("body", _body),
    ("method", _method),
    ("target", _target),
    ("signature", _signature),
    ("unsigned", _unsigned),
    ("respelt", _respelt),
    ("injected", _injected),
    ("altered", _altered),
    ("type", _type),
    ("resigned", _resigned),
    ("shifted", _shifted),
]
