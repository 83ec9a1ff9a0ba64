"""Tasks that are enqueued when, and only if, a transaction of the project's database commits.

Nothing is to be set up but the app itself and its migration: in a ``transaction.atomic`` block,
``taskqueue.add(..., transactional=True)`` and ``deferred.defer(..., _transactional=True)`` write their tasks into the
table ``gae_broker_outbox`` of the block's own database, within its transaction. After the commit the committing
thread enqueues them, by ``transaction.on_commit``; what it could not, because it crashed or the broker was away, is
enqueued with the next commit for the same queue or by a relay: ``manage.py relay_tasks``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from gae_broker.engine import runtime, transactions
from gae_broker.engine.outbox import Relay
from gae_broker.engine.relaying import Relayer
from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import BadTransactionStateError, DatastoreError, SettingsError
from gae_broker_adapters.django.rows import FAILURES, DjangoRows, reason

_SCHEME = "django://"
_NEVER_S = 3600.0
_chosen: ContextVar[str | None] = ContextVar("gae_broker_django_database", default=None)


def register() -> None:
    """Let transactional adds find Django's transactions from now on. Idempotent."""
    transactions.register(current)


@contextmanager
def within(alias: str) -> Iterator[None]:
    """In this block, transactional adds go with the transaction on this database, whatever others are under way."""
    token = _chosen.set(alias)
    try:
        yield
    finally:
        _chosen.reset(token)


def relay(alias: str = "default") -> int:
    """Enqueue what is committed in this database now; how many tasks that were.

    Raises:
        OutboxUnavailableError: the database did not answer.
        TransientError, ConfigurationError, StorageError: the task queue cannot be used, or refused a task; it stays.
    """
    relayed = Relay(DjangoRows(alias)).run()
    if relayed.error is not None:
        raise relayed.error
    return relayed.tasks


def open_outbox(url: str) -> DjangoRows:
    """Open the outbox of ``django://ALIAS``, a database of the project that ``DJANGO_SETTINGS_MODULE`` names.

    Raises:
        SettingsError: there is no such database, no project, or our app is not in it.
    """
    import django  # noqa: PLC0415 - setting a project up is for those who have none yet

    alias = url.removeprefix(_SCHEME).strip("/") or "default"
    try:
        if not apps.ready:
            django.setup()
        connections[alias]
    except Exception as exc:  # whatever a project's own modules raise
        raise SettingsError(f"outbox {_SCHEME}{alias}: {exc}") from exc
    if not apps.is_installed("gae_broker_adapters.django"):
        raise SettingsError('outbox: add "gae_broker_adapters.django" to INSTALLED_APPS, then run `manage.py migrate`')
    return DjangoRows(alias)


def current() -> DjangoTransaction | None:
    """The ``atomic`` block that the caller is in, ``None`` outside of one; those of Django's TestCase do not count.

    Raises:
        BadTransactionStateError: there are several, on different databases, and neither `within` nor the project's
            database routers say which counts.
    """
    chosen = _chosen.get()
    if chosen is not None:
        return DjangoTransaction(connections[chosen]) if _depth(connections[chosen]) is not None else None
    found = [connection for connection in connections.all(initialized_only=True) if _depth(connection) is not None]
    if len(found) > 1:
        wanted = router.db_for_write(apps.get_model("gae_broker", "OutboxTask"))
        found = [connection for connection in found if connection.alias == wanted]
        if not found:
            raise BadTransactionStateError(
                "transactions on several databases are under way here; say which one the task goes with: "
                "`with outbox.within(alias):`"
            )
    return DjangoTransaction(found[0]) if found else None


class Committed:
    """What Django calls after the commit; it forgets it where the savepoint around the add is rolled back.

    Attributes:
        tasks: how many were added.
    """

    def __init__(self, alias: str, queues: set[str], tasks: int) -> None:
        self.tasks = tasks
        self._alias = alias
        self._queues = queues

    def __call__(self) -> None:
        """Enqueue them; never raises."""
        _relayer(self._alias).after_commit(self._queues)


class DjangoTransaction:
    """See `gae_broker.engine.transactions.Transaction`.

    Args:
        connection: the caller's, in an ``atomic`` block.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken; those of savepoints that were rolled back do not count."""
        depth = _depth(self._connection)
        # In a TestCase, what a block of the test's begins is a savepoint, and nothing is ever committed.
        inside = {self._connection.savepoint_ids[depth - 1]} if depth else set()
        entries: list[Any] = self._connection.run_on_commit
        return sum(entry[1].tasks for entry in entries if isinstance(entry[1], Committed) and inside <= set(entry[0]))

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:  # noqa: ARG002  (the relay does)
        """Write the tasks into the outbox.

        Raises:
            BadTransactionStateError: an error has broken it; it can only be rolled back.
            DatastoreError: the database did not take them.
        """
        rows = DjangoRows(self._connection.alias)
        try:
            rows.insert(tasks, runtime.now_us())
        except transaction.TransactionManagementError as exc:
            raise BadTransactionStateError(f"the transaction takes no tasks: {exc}") from exc
        except FAILURES as exc:
            raise DatastoreError(
                f"{rows.where} did not take the task: {reason(exc)}; if there is no such table, run "
                f"`manage.py migrate --database {rows.alias}`"
            ) from exc
        queues = {task.copy.queue for task in tasks}
        transaction.on_commit(Committed(rows.alias, queues, len(tasks)), using=rows.alias)


def _depth(connection: BaseDatabaseWrapper) -> int | None:
    """How many blocks of Django's TestCase are around the caller's first own one; ``None``: there is none."""
    blocks: list[Any] = connection.atomic_blocks
    return next((depth for depth, block in enumerate(blocks) if not block._from_testcase), None)  # noqa: SLF001


@functools.cache
def _relayer(alias: str) -> Relayer:
    rows = DjangoRows(alias)
    return Relayer(Relay(rows), rows.where, every_s=_NEVER_S, threaded=False)
