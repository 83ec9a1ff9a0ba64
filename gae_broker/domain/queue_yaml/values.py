"""The texts that queue.yaml's values are written in."""

from __future__ import annotations

import math
import re

from gae_broker.domain.time_units import UNIT_S
from gae_broker.errors import QueueYamlError

RATE = re.compile(r"0|[0-9]+(\.[0-9]*)?/[smhd]")
STORAGE = re.compile(r"[0-9]+|[0-9]+(\.[0-9]*)?[BKMGT]")
PLAIN_AGE = re.compile(r"[0-9]+(\.[0-9]*)?[smhd]")
_SUFFIXES = "BKMGT"
_LONGEST_AGE_S = 2**31 - 1  # App Engine keeps it in 32 bits

RATE_EXPECTED = "0, or a number and a unit like 5/s, 0.5/m, 10/h or 100/d"
STORAGE_EXPECTED = "a whole number of bytes, or a number and B, K, M, G or T like 500M"
AGE_EXPECTED = "a number above 0 and a unit like 30s, 15m, 2h or 2d"


def unexpected(found: object, expected: str) -> QueueYamlError:
    """The error for a value that is not what its key takes."""
    return QueueYamlError(f"found {found!r}, expected {expected}")


def parse_rate(text: str) -> float:
    """Tasks per second of a rate like ``5/s``, ``0.5/m`` or ``0``.

    Raises:
        QueueYamlError: the text is not a rate.
    """
    if not RATE.fullmatch(text):
        hint = f" (did you mean {text}/s?)" if text.isdecimal() else ""
        raise unexpected(text, RATE_EXPECTED + hint)
    if text == "0":
        return 0.0
    number, unit = text.split("/")
    rate = float(number) / UNIT_S[unit]
    if not math.isfinite(rate):
        raise unexpected(text, RATE_EXPECTED)
    return rate


def parse_total_storage_limit(text: str) -> int:
    """Bytes of a limit like ``500M`` (1,024-based) or ``1000``.

    Raises:
        QueueYamlError: the text is not a storage limit.
    """
    if not STORAGE.fullmatch(text):
        raise unexpected(text, STORAGE_EXPECTED)
    if text[-1] not in _SUFFIXES:
        return int(text)
    size = float(text[:-1]) * 1024.0 ** _SUFFIXES.index(text[-1])
    if not math.isfinite(size):
        raise unexpected(text, STORAGE_EXPECTED)
    return int(size)


def parse_age_limit(text: str) -> int:
    """Whole seconds of an age limit like ``2d``; fractions of a second are dropped, but 1 is the least.

    Raises:
        QueueYamlError: the text is not an age limit, or one of zero.
    """
    stripped = text.strip()
    if not stripped or stripped[-1] not in UNIT_S:
        raise unexpected(text, AGE_EXPECTED)
    try:
        number = float(stripped[:-1])
    except ValueError:
        raise unexpected(text, AGE_EXPECTED) from None
    seconds = number * UNIT_S[stripped[-1]]
    if not 0 < seconds < math.inf:  # neither holds for not-a-number
        raise unexpected(text, AGE_EXPECTED)
    return min(max(int(seconds), 1), _LONGEST_AGE_S)
