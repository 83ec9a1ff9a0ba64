"""What travels through a broker: one copy of a task, opaque to the broker."""

from __future__ import annotations

from dataclasses import dataclass

from gae_broker.domain.task import Kind


@dataclass(frozen=True, slots=True)
class Message:
    """One copy of a task on its way through a broker.

    Attributes:
        copy_id: unique; a publish tried again keeps it.
        kind, queue: the address.
        key: the task's name; messages due at the same time are delivered in its order where a broker can.
        due_us: the earliest delivery; 0 is at once.
        meta: text that the broker carries unread.
        body: bytes that the broker carries unread.
    """

    copy_id: str
    kind: Kind
    queue: str
    key: str
    due_us: int
    meta: str
    body: bytes
