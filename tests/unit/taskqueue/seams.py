"""Ports that behave badly on purpose, around ones that behave well."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from gae_broker import errors
from gae_broker.domain.task import Kind
from gae_broker.ports import Broker, Delivery, Depth, Ledger, Message


class Gate:
    """Holds up whoever passes until the test opens it."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self._open.wait(60)
        return "answer"

    def open(self) -> None:
        self._open.set()


class SlowBroker:
    """A broker that answers questions when its gate is opened."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker, self._gate = broker, gate

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)

    def get(self, kind: Kind, queue: str, limit: int) -> list[Delivery]:
        self._gate()
        return self._broker.get(kind, queue, limit)

    def depth(self, kind: Kind, queue: str) -> Depth:
        self._gate()
        return self._broker.depth(kind, queue)


class UnsureBroker:
    """A broker whose confirms never come, though it stores what is published."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)

    def publish(self, messages: Sequence[Message], deadline_s: float) -> list[Exception | None]:
        self._broker.publish(messages, deadline_s)
        return [errors.ConfirmTimeoutError("no confirm came") for _ in messages]


class RecordingLedger:
    """A ledger that tells which payloads it keeps."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.kept: set[str] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def put_payload(self, key: str, body: bytes, now_us: int) -> None:
        self._ledger.put_payload(key, body, now_us)
        self.kept.add(key)

    def delete_payload(self, key: str) -> None:
        self._ledger.delete_payload(key)
        self.kept.discard(key)
