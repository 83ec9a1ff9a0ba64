"""Tasks that are enqueued when, and only if, a transaction of google-cloud-ndb commits.

One line sets it up, where the program starts::

    from gae_broker_adapters import ndb as tasks_in_transactions

    tasks_in_transactions.attach()

From then on ``taskqueue.add(..., transactional=True)`` in a transaction stores its task as an entity within it (kind
``GaeBrokerOutboxTask``; payloads beyond one entity's size in ``GaeBrokerOutboxPart``). After the commit the same
thread enqueues it and deletes the entity (`Context.call_on_commit`). What it could not, because it crashed or the
broker was away, goes with the next commit for the same queue, or with `relay`, to be called every minute or so.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.cloud import ndb

from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind, LargePayload
from gae_broker.engine import runtime, transactions
from gae_broker.engine.outbox import Relay
from gae_broker.engine.relaying import Relayer
from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import DatastoreError, OutboxUnavailableError
from gae_broker.ports import ClaimedRows, OutboxRow, Place, RowClaim, Waiting

__all__ = ["DatastoreRows", "NdbTransaction", "attach", "detach", "relay"]

_PART = 900_000
"""Bytes of a payload in one entity; Datastore takes a little more than a million in all."""

_NEVER_S = 3600.0
_FAILURES = (GoogleAPIError, ndb.exceptions.Error)
_counter = itertools.count()


class OutboxTask(ndb.Model):  # type: ignore[misc]  # untyped there
    """A task that is to be enqueued; its key's name is ``queue/place``, so that queries need no index of their own."""

    kind = ndb.TextProperty()
    name = ndb.TextProperty()
    copy_id = ndb.TextProperty()
    due_us = ndb.IntegerProperty(indexed=False)
    meta = ndb.BlobProperty()
    body = ndb.BlobProperty()
    large_key = ndb.TextProperty()
    body_parts = ndb.IntegerProperty(indexed=False, default=0)
    large_parts = ndb.IntegerProperty(indexed=False, default=0)
    size = ndb.IntegerProperty(indexed=False)
    added_us = ndb.IntegerProperty(indexed=False)
    claimed_by = ndb.TextProperty(default="")
    claimed_until_us = ndb.IntegerProperty(indexed=False, default=0)

    @classmethod
    def _get_kind(cls) -> str:
        return "GaeBrokerOutboxTask"


class OutboxPart(ndb.Model):  # type: ignore[misc]
    """A part of a payload; its key's name is the task's, which part of what, and its number."""

    data = ndb.BlobProperty()

    @classmethod
    def _get_kind(cls) -> str:
        return "GaeBrokerOutboxPart"


def attach() -> None:
    """Let transactional adds find ndb's transactions from now on. Idempotent."""
    transactions.register(_current)


def detach() -> None:
    """Undo `attach`; what is in the Datastore stays."""
    transactions.unregister(_current)


def relay() -> int:
    """Enqueue what is committed, within an ndb context and outside of its transactions; how many tasks that were.

    Raises:
        OutboxUnavailableError: the Datastore did not answer.
        TransientError, ConfigurationError, StorageError: the task queue cannot be used, or refused a task; it stays.
    """
    relayed = Relay(DatastoreRows()).run()
    if relayed.error is not None:
        raise relayed.error
    return relayed.tasks


class Committed:
    """What ndb calls after the commit.

    Attributes:
        tasks: how many were added.
    """

    def __init__(self, queues: set[str], tasks: int) -> None:
        self.tasks = tasks
        self._queues = queues

    def __call__(self) -> None:
        # ndb calls from within its event loop, in the transaction's own context: neither would do for what follows.
        context = ndb.get_context()
        fresh = context.new(
            transaction=None,
            on_commit_callbacks=None,
            transaction_complete_callbacks=None,
            batches=None,
            commit_batches=None,
            cache=None,
            eventloop=type(context.eventloop)(),
            retry=None,
        )
        with fresh.use():
            _RELAYER.after_commit(self._queues)


class NdbTransaction:
    """See `gae_broker.engine.transactions.Transaction`. A transaction that ndb tries again adds its tasks again.

    Args:
        context: the transaction's.
    """

    def __init__(self, context: Any) -> None:  # noqa: ANN401 - untyped there
        self._context = context

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken."""
        return sum(call.tasks for call in self._context.on_commit_callbacks if isinstance(call, Committed))

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:  # noqa: ARG002  (the relay does)
        """Put the tasks' entities.

        Raises:
            DatastoreError: they cannot be stored.
        """
        try:
            entities = [entity for task in tasks for entity in _entities(task, runtime.now_us())]
            for entity in entities:
                entity.put()
        except _FAILURES as exc:
            raise DatastoreError(f"the Datastore did not take the task: {exc}") from exc
        self._context.call_on_commit(Committed({task.copy.queue for task in tasks}, len(tasks)))


def _current() -> NdbTransaction | None:
    context = ndb.get_context(raise_context_error=False)
    return NdbTransaction(context) if context is not None and context.in_transaction() else None


class DatastoreRows:
    """A `gae_broker.ports.Outbox` in the Datastore of the ndb context that it is called in.

    A row's place tells when its host added it, so the order over several hosts is as good as their clocks agree.
    """

    def queues(self) -> Sequence[str]:
        """See `Outbox`."""
        found: list[str] = []
        with _translated():
            while True:
                query = OutboxTask.query()
                if found:
                    query = query.filter(OutboxTask._key > ndb.Key(OutboxTask, f"{found[-1]}0"))  # noqa: SLF001
                key = query.order(OutboxTask._key).get(keys_only=True)  # noqa: SLF001
                if key is None:
                    return found
                found.append(_queue(key))

    def waiting(self) -> Waiting:
        """See `Outbox`."""
        with _translated():
            added = [task.added_us for task in OutboxTask.query()]
        return Waiting(len(added), min(added, default=None))

    def claim(self, queue: str, claim: RowClaim) -> ClaimedRows:
        """See `Outbox`."""
        with _translated():
            first = OutboxTask.query(
                OutboxTask._key > ndb.Key(OutboxTask, f"{queue}/"),  # noqa: SLF001
                OutboxTask._key < ndb.Key(OutboxTask, f"{queue}0"),  # noqa: SLF001
            ).order(OutboxTask._key)  # noqa: SLF001
            keys = first.fetch(limit=claim.rows, keys_only=True)
            if not keys:
                return ClaimedRows()
            claimed = ndb.transaction(lambda: _claim(keys, claim))
            return ClaimedRows(tuple(_row(task) for task in claimed), held=not claimed)

    def forget(self, token: str, places: Sequence[Place]) -> None:
        """See `Outbox`."""
        with _translated():
            ndb.transaction(lambda: ndb.delete_multi([key for task in _held(token, places) for key in _keys(task)]))

    def release(self, token: str, places: Sequence[Place]) -> None:
        """See `Outbox`."""

        def free() -> None:
            tasks = _held(token, places)
            for task in tasks:
                task.claimed_by, task.claimed_until_us = "", 0
            ndb.put_multi(tasks)

        with _translated():
            ndb.transaction(free)

    def close(self) -> None:
        """Nothing: the context is the application's."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _FAILURES as exc:
        raise OutboxUnavailableError(f"the outbox in the Datastore cannot be used: {exc}") from exc


def _claim(keys: Sequence[Any], claim: RowClaim) -> list[Any]:
    tasks: list[Any] = ndb.get_multi(keys, use_cache=False)
    if any(task is None or task.claimed_until_us > claim.now_us for task in tasks):
        return []  # another relay has, or had, them
    total = 0
    chosen: list[Any] = []
    for task in tasks:
        total += task.size
        if chosen and total > claim.size:
            break
        chosen.append(task)
    for task in chosen:
        task.claimed_by, task.claimed_until_us = claim.token, claim.until_us
    ndb.put_multi(chosen)
    return chosen


def _held(token: str, places: Sequence[Place]) -> list[Any]:
    found = ndb.get_multi([ndb.Key(OutboxTask, place) for place in places], use_cache=False)
    return [task for task in found if task is not None and task.claimed_by == token]


def _queue(key: Any) -> str:  # noqa: ANN401
    return str(key.id()).partition("/")[0]


def _entities(task: Enlisted, now_us: int) -> Iterator[Any]:
    message = wire.encode(task.copy)
    place = f"{message.queue}/{time.time_ns():020}-{next(_counter):010}-{message.copy_id}"
    body, large = message.body, b"" if task.large is None else task.large.body
    body_parts = [body[start : start + _PART] for start in range(0, len(body), _PART)][1:]
    large_parts = [large[start : start + _PART] for start in range(0, len(large), _PART)]
    yield OutboxTask(
        id=place,
        kind=message.kind.value,
        name=message.key,
        copy_id=message.copy_id,
        due_us=message.due_us,
        meta=message.meta.encode(errors="surrogatepass"),
        body=body[:_PART],
        large_key=None if task.large is None else task.large.key,
        body_parts=len(body_parts),
        large_parts=len(large_parts),
        size=len(body) + len(large),
        added_us=now_us,
    )
    for which, parts in (("body", body_parts), ("large", large_parts)):
        for number, data in enumerate(parts):
            yield OutboxPart(id=f"{place}/{which}/{number}", data=data)


def _parts(task: Any, which: str, count: int) -> list[Any]:  # noqa: ANN401
    return [ndb.Key(OutboxPart, f"{task.key.id()}/{which}/{number}") for number in range(count)]


def _keys(task: Any) -> list[Any]:  # noqa: ANN401
    return [task.key, *_parts(task, "body", task.body_parts), *_parts(task, "large", task.large_parts)]


def _row(task: Any) -> OutboxRow:  # noqa: ANN401
    def joined(which: str, count: int) -> bytes:
        return b"".join(part.data for part in ndb.get_multi(_parts(task, which, count), use_cache=False))

    message = Message(
        copy_id=task.copy_id,
        kind=Kind(task.kind),
        queue=_queue(task.key),
        key=task.name,
        due_us=task.due_us,
        meta=task.meta.decode(errors="surrogatepass"),
        body=task.body + joined("body", task.body_parts),
    )
    large = None
    if task.large_key is not None:
        large = LargePayload(task.large_key, joined("large", task.large_parts))
    return OutboxRow(task.key.id(), message, large)


_RELAYER = Relayer(Relay(DatastoreRows()), "the Datastore", every_s=_NEVER_S, threaded=False)
