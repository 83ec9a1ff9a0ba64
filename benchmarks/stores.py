"""Runtimes for a benchmark: on an embedded file or on RabbitMQ, fresh or filled with tasks first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gae_broker.domain import wire
from gae_broker.domain.queue_yaml import parse
from gae_broker.domain.task import Content, Copy
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings

QUEUES = """
queue:
- name: push
  rate: 1000000/s
  bucket_size: 1000000
  max_concurrent_requests: 400
- name: pull
  mode: pull
"""
PAYLOAD = b"x" * 200
_CHUNK = 10_000


@contextmanager
def directory() -> Iterator[Path]:
    """A directory on the disk that the checkout is on; a memory file system would flatter."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".run-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def runtime(path: Path, queues: str = QUEUES, targets: dict[str, str] | None = None) -> Iterator[Runtime]:
    """A runtime on an embedded file, made the process's own."""
    with _opened(Settings(url=f"embedded:///{path}", targets=targets or {}), queues) as opened:
        yield opened


@contextmanager
def rabbitmq(url: str, ledger: str, queues: str = QUEUES, targets: dict[str, str] | None = None) -> Iterator[Runtime]:
    """A runtime on RabbitMQ with a ledger by its URL, made the process's own."""
    with _opened(Settings(url=url, ledger=ledger, targets=targets or {}), queues) as opened:
        yield opened


@contextmanager
def _opened(settings: Settings, queues: str) -> Iterator[Runtime]:
    with Runtime.open(settings, queues=parse(queues)) as opened, using(opened):
        yield opened


def fill(opened: Runtime, queue: str, count: int, method: str, url: str = "/work", payload: bytes = PAYLOAD) -> None:
    """Store tasks that are due, by large batches straight into the broker."""
    now_us = opened.clock.now_us()
    for first in range(0, count, _CHUNK):
        messages = []
        for number in range(first, min(first + _CHUNK, count)):
            path = "" if method == "PULL" else url
            content = Content(opened.names.task_name(), method=method, url=path, payload=payload, created_us=now_us)
            messages.append(wire.encode(Copy(opened.names.copy_id(), queue, content, now_us + number - count)))
        errors = [error for error in opened.broker.publish(messages, 60.0) if error is not None]
        if errors:
            raise errors[0]
