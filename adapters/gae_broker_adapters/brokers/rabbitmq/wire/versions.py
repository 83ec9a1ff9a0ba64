"""What is known of RabbitMQ's releases; from its release notes and the threads named."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gae_broker.ports import Check, CheckStatus

OLDEST = (3, 10)
"""The first with quorum queues that expire messages and dead-letter them at least once."""
NEWEST = (4, 3)
"""The newest series that the test suite runs on."""
FILES_UNLIMITED = (3, 13)
"""From here on a node no longer counts files itself."""
FILES_PER_QUEUE = 3
_PART = re.compile(r"\d+")
Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of some releases, from ``first`` on, repaired in ``repaired``."""

    first: Version
    repaired: Version
    text: str


FAULTS = (
    Fault((3, 10, 0), (3, 10, 9), "a consumer that is cancelled and comes back may hang (#5927)"),
    Fault((3, 10, 9), (3, 10, 20), "a quorum queue may stop delivering after a leader change (#7677)"),
    Fault((3, 11, 0), (3, 11, 20), "a quorum queue may stop delivering after a leader change, or leak memory (#7677)"),
    Fault((3, 12, 0), (3, 12, 2), "dead-lettering at least once leaks memory"),
    Fault((4, 2, 0), (4, 2, 7), "dead-lettering may send commands to the wrong member of a cluster (#16203)"),
    Fault((4, 3, 0), (4, 3, 3), "dead-lettering may stop when a cluster's members change (#16652)"),
)


HIDING = (((4, 2, 0), (4, 2, 7)), ((4, 3, 0), (4, 3, 1)))
"""Releases that show an object only to who may configure it: later ones, to who has any permission on it."""


def hides(version: str) -> bool:
    """Whether this release may hide what a user may use."""
    return any(first <= parse(version) < repaired for first, repaired in HIDING)


def parse(version: str) -> Version:
    """The numbers of a version (``3.10.8``, ``4.3.0-rc.1``)."""
    return tuple(int(part) for part in _PART.findall(version.partition("-")[0])[:3]) or (0,)


def check(version: str) -> Check:
    """Whether a release is one that is tested, and free of known faults."""
    name, number = "broker version", parse(version)
    if number < OLDEST:
        text = f"RabbitMQ {version} cannot delay tasks without losing some; upgrade to 3.10.8 or later, best to 4.3"
        return Check(name, CheckStatus.FAILED, text)
    faults = [fault for fault in FAULTS if fault.first <= number < fault.repaired]
    if faults:
        texts = "; ".join(f"{fault.text}, repaired in {_text(fault.repaired)}" for fault in faults)
        return Check(name, CheckStatus.WARNING, f"RabbitMQ {version}: {texts}")
    if number[:2] > NEWEST:
        text = f"RabbitMQ {version} is newer than {_text(NEWEST)}, the newest series this release was tested on"
        return Check(name, CheckStatus.WARNING, text)
    return Check(name, CheckStatus.OK, f"RabbitMQ {version}, no known fault concerns us")


def _text(version: Version) -> str:
    return ".".join(map(str, version))
