"""QueryAndOwnTasks, ModifyTaskLease and Delete: pull tasks, and what a process holds leased of them.

A request to change a lease names the task and does not bring its payload, which RabbitMQ, that cannot look a message
up, would need to park the task anew. So the payloads of tasks that were leased through here are kept while the leases
last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from gae_broker import errors
from gae_broker.domain.task import PULL, Content, Copy
from gae_broker.engine.runtime import Runtime
from gae_broker.ports import State
from gae_broker.taskqueue import leasing

_MOST_BYTES = 64 << 20


class Leased:
    """The contents of the tasks that this process has leased, the latest 64 MB of them."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._lock = threading.Lock()
        self._contents: OrderedDict[tuple[str, str], Content] = OrderedDict()
        self._room_bytes = most_bytes

    def keep(self, copy: Copy) -> None:
        """Remember a task that was leased just now."""
        with self._lock:
            self._forget((copy.queue, copy.name))
            self._contents[copy.queue, copy.name] = copy.content
            self._room_bytes -= len(copy.content.payload)
            while self._room_bytes < 0:
                self._forget(next(iter(self._contents)))

    def drop(self, queue: str, name: str) -> None:
        """Forget a task that was deleted."""
        with self._lock:
            self._forget((queue, name))

    def get(self, queue: str, name: str) -> Content | None:
        """A task's content, ``None`` where it was not leased here, or too long ago."""
        with self._lock:
            return self._contents.get((queue, name))

    def _forget(self, key: tuple[str, str]) -> None:
        content = self._contents.pop(key, None)
        if content is not None:
            self._room_bytes += len(content.payload)


def lease(runtime: Runtime, leased: Leased, request: Any, response: Any) -> None:  # noqa: ANN401 - protocol buffers
    """Lease the tasks that a ``TaskQueueQueryAndOwnTasksRequest`` asks for."""
    leasing.check_max_tasks(request.max_tasks)
    copies = runtime.leaser.lease(
        request.queue_name.decode(),
        leasing.lease_us(request.lease_seconds),
        request.max_tasks,
        by_tag=request.group_by_tag,
        tag=request.tag.decode() or None,
    )
    for copy in copies:
        leased.keep(copy)
        task = response.task.add()
        task.task_name = copy.name.encode()
        task.eta_usec = copy.eta_us
        task.retry_count = copy.progress.tries
        task.body = copy.content.payload
        if copy.content.tag is not None:
            task.tag = copy.content.tag.encode()


def modify(runtime: Runtime, leased: Leased, request: Any, response: Any) -> None:  # noqa: ANN401
    """Let a lease end at another time.

    Raises:
        UnknownTaskError, TombstonedTaskError: there is no such task, or no more.
        Error: the task was leased by another process, and the broker cannot look it up.
    """
    queue, name = request.queue_name.decode(), request.task_name.decode()
    lease_us = leasing.lease_us(request.lease_seconds)
    content = leased.get(queue, name) or _looked_up(runtime, queue, name)
    response.updated_eta_usec = runtime.leaser.modify(queue, name, request.eta_usec, lease_us, content)


def _looked_up(runtime: Runtime, queue: str, name: str) -> Content:
    known = runtime.browser.find(queue, name)
    if known is not None:
        return known.content
    fact = runtime.ledger.facts(queue, [name]).get(name)
    if fact is not None and fact.state not in {State.DONE, State.DELETED}:
        # Its copy is being replaced; one made of what is known here would have no payload.
        raise errors.TransientError(f"task {name!r} in queue {queue!r} was changed just now; try again")
    return Content(name, PULL)  # there is none, as the engine will say
