"""What a task sends: payload or params, by method; and the checks that decide whether both, or either, may be given.

Source: gae-semantics section 2.1, rules 7 to 9, in that order.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from gae_broker.domain import params as forms
from gae_broker.domain.caseless import Headers
from gae_broker.domain.task import PULL
from gae_broker.domain.task_arguments import shown
from gae_broker.errors import InvalidTaskError

_QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE", "PUT"})
_BODY_METHODS = frozenset({"PULL", "POST", "PUT"})
_FORM = "application/x-www-form-urlencoded"
_TEXT = "text/plain; charset=utf-8"


class Defaults(Protocol):
    """Headers, or a dict: what `convert` needs of either."""

    def setdefault(self, name: str, value: str, /) -> object:
        """Set it unless it is there."""


class Given(NamedTuple):
    """What the caller gave of a task's address and body, its url parsed already."""

    method: str
    payload: object
    params: forms.Params | None
    tag: object
    on_queue_url: bool
    path: str
    query: str
    has_headers: bool
    has_target: bool


def make(given: Given, headers: Headers) -> tuple[str, str | bytes | None]:
    """(url, payload) of a task; sets the content type where the payload has one.

    The payload of a POST made of params is text, every other one bytes, as on App Engine.

    Raises:
        InvalidTaskError: what was given does not go together, or the method does not exist.
    """
    if given.query and given.params:
        raise InvalidTaskError(f"url query {shown(given.query)} and params are both given; give one of them")
    if given.method != PULL and given.tag is not None:
        raise InvalidTaskError(f"tag {shown(given.tag)} is given for a {given.method} task; only pull tasks have tags")
    if given.method == PULL:
        return given.path, _pull(given, headers)
    if given.method == "POST":
        return given.path, _post(given, headers)
    if given.method in _QUERY_METHODS:
        return _with_query(given, headers)
    raise InvalidTaskError(f"Invalid method: {given.method}; use one of POST, GET, HEAD, PUT, DELETE, or PULL")


def _pull(given: Given, headers: Headers) -> str | bytes | None:
    for name, is_given in (
        ("url", not given.on_queue_url),
        ("headers", given.has_headers),
        ("target", given.has_target),
    ):
        if is_given:
            raise InvalidTaskError(f"{name} is given for a pull task; pull tasks are not sent anywhere, leave it out")
    payload = given.payload
    if given.params:
        if payload:
            raise InvalidTaskError("payload and params are both given for a pull task; give one of them")
        payload = forms.encode(given.params)
    if payload is None:
        raise InvalidTaskError("a pull task needs a payload (an empty one will do)")
    return convert(payload, headers)


def _post(given: Given, headers: Headers) -> str | bytes | None:
    if given.payload and given.params:
        raise InvalidTaskError("payload and params are both given for a POST task; give one of them")
    if given.query:
        raise InvalidTaskError(f"url query {shown(given.query)} is given for a POST task; use params= instead")
    if given.params:
        headers.setdefault("content-type", _FORM)
        return forms.encode(given.params)
    return None if given.payload is None else convert(given.payload, headers)


def _with_query(given: Given, headers: Headers) -> tuple[str, str | bytes | None]:
    payload = None
    if given.payload:
        if given.method not in _BODY_METHODS:
            raise InvalidTaskError(
                f"payload {shown(given.payload)} is given for a {given.method} task; "
                f"only {', '.join(sorted(_BODY_METHODS))} tasks have one",
            )
        payload = convert(given.payload, headers)
    query = forms.encode(given.params) if given.params else given.query
    return f"{given.path}?{query}" if query else given.path, payload


def convert(payload: object, headers: Defaults) -> str | bytes | None:
    """Text as UTF-8 bytes, with its content type; falsy values that are no text pass, as on App Engine.

    Raises:
        InvalidTaskError: it is neither text nor bytes, or text that cannot be encoded.
    """
    if payload == "":
        return b""
    if isinstance(payload, str):
        headers.setdefault("content-type", _TEXT)
        try:
            return payload.encode()
        except UnicodeEncodeError as exc:
            raise InvalidTaskError(f"payload {shown(payload)} cannot be written as UTF-8; send bytes") from exc
    if payload and not isinstance(payload, bytes):
        raise InvalidTaskError(f"payload must be text or bytes, not {shown(payload)}")
    return payload  # type: ignore[return-value]  # 0 or False, see above: nothing is sent for them
