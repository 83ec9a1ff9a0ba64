"""The size of an add request's entry, as App Engine's service measured it.

The client library checks a task's own size; the service checks the whole entry, names, eta and field tags included.
So a task a few bytes below the client's limit passes the first check and fails the second, here as there.
Source: the field layout of ``TaskQueueAddRequest`` in the reference implementation.
"""

from __future__ import annotations

from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Content, Kind

MAX_PULL_BYTES = 1024 * 1024
MAX_PUSH_BYTES = 100 * 1024
_SEVEN_BITS = 7
_DOUBLE = 1 + 8
_ENUM = 1 + 1
_ENUM_HIGH_TAG = 2 + 1
_GROUP = 1 + 1
_NEGATIVE_VARINT = 10


_FIXED = 400
"""More than all fields but payload, name, url, tag and headers take together."""
_PER_HEADER = 10
_PER_CHARACTER = 4  # UTF-8's longest


def is_small(content: Content) -> bool:
    """Whether the entry is certainly within the limit; costs a tenth of `size`."""
    characters = len(content.name) + len(content.url) + len(content.tag or "")
    for name, value in content.headers:
        characters += len(name) + len(value)
    bound = _FIXED + len(content.payload) + _PER_HEADER * len(content.headers) + _PER_CHARACTER * characters
    return bound <= limit(content.kind)


def limit(kind: Kind) -> int:
    """The largest entry of a kind, in bytes."""
    return MAX_PULL_BYTES if kind is Kind.PULL else MAX_PUSH_BYTES


def size(queue: str, content: Content, eta_us: int) -> int:
    """How many bytes the entry of a task takes in the service's request; a name not yet chosen takes none."""
    total = _field(queue) + _field(content.name) + 1 + _varint(eta_us)
    total += _ENUM_HIGH_TAG
    if content.kind is Kind.PULL:
        total += _field(content.payload)
        return total if content.tag is None else total + 1 + _field(content.tag)
    total += _ENUM + _field(content.url)
    total += sum(_GROUP + _field(name) + _field(value) for name, value in content.headers)
    if content.payload:
        total += _field(content.payload)
    if content.deadline_us is not None:
        total += 2 + _varint(content.deadline_us)
    return total if content.retry is None else total + _retry(content.retry)


def _retry(retry: RetryParameters) -> int:
    """The retry options' size; those at their default count too, as it is not known which were given."""
    total = 2 * _DOUBLE + 1 + _varint(retry.max_doublings)
    for number in (retry.limit, retry.age_limit_s):
        total += 0 if number is None else 1 + _varint(number)
    return 2 + _varint(total) + total


def _field(value: str | bytes) -> int:
    length = len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
    return 1 + _varint(length) + length


def _varint(number: int) -> int:
    if number < 0:
        return _NEGATIVE_VARINT
    return max(1, -(-number.bit_length() // _SEVEN_BITS))
