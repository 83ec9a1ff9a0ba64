"""The task in a request's body."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gae_broker.web.rest.answers import RestError, invalid

_PAYLOAD = re.compile(r"([A-Za-z0-9_-]*)={0,2}")
_INT64 = re.compile(r"-?[0-9]{1,19}")
_MOST_INT64 = 2**63
_MOST_INT32 = 2**31
_TEXTS = ("kind", "id", "queueName", "tag")
_TIMES = ("enqueueTimestamp", "leaseTimestamp")


@dataclass(frozen=True, slots=True)
class TaskBody:
    """What a request says of a task; ``None``: nothing.

    Attributes:
        payload: decoded.
        lease_us: ``leaseTimestamp``.
        created_us: ``enqueueTimestamp``.
        leases: ``retry_count``.
    """

    id: str | None = None
    queue_name: str | None = None
    payload: bytes | None = None
    lease_us: int | None = None
    created_us: int | None = None
    leases: int | None = None
    tag: str | None = None


def read(body: bytes) -> TaskBody:
    """The task of a body; members that a task does not have are ignored.

    Raises:
        RestError: 400, it is no task in JSON.
    """
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):  # not UTF-8, or not JSON
        raise RestError(400, "parseError", "The body is not JSON: send a task as an object.") from None
    if not isinstance(value, dict):
        raise RestError(400, "parseError", "The body is no object: send a task.")
    texts = {name: _text(value, name) for name in _TEXTS}
    times = {name: _int64(value, name) for name in _TIMES}
    return TaskBody(
        id=texts["id"],
        queue_name=texts["queueName"],
        payload=_payload(value),
        lease_us=times["leaseTimestamp"],
        created_us=times["enqueueTimestamp"],
        leases=_int32(value, "retry_count"),
        tag=texts["tag"],
    )


def _no_number(name: str) -> float:
    raise ValueError(name)


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise invalid(f"{name}: expected a string")
    return found


def _int64(value: Mapping[str, Any], name: str) -> int | None:
    """A 64 bit number, a string as Google writes it, or a number as people do."""
    found = value.get(name)
    if found is None:
        return None
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not _INT64.fullmatch(text) or not -_MOST_INT64 <= int(text) < _MOST_INT64:
        raise invalid(f"{name}: expected microseconds since 1970, a whole number of 64 bits as a string")
    return int(text)


def _int32(value: Mapping[str, Any], name: str) -> int | None:
    found = value.get(name)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or not -_MOST_INT32 <= found < _MOST_INT32:
        raise invalid(f"{name}: expected a whole number of 32 bits")
    return found


def _payload(value: Mapping[str, Any]) -> bytes | None:
    text = _text(value, "payloadBase64")
    if text is None:
        return None
    match = _PAYLOAD.fullmatch(text)
    if match is None:
        raise invalid("payloadBase64: expected base64 of the url-safe alphabet: A-Z, a-z, 0-9, '-' and '_'")
    digits = match[1]
    try:
        return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        raise invalid("payloadBase64: a character is missing, or one too many is there") from None
