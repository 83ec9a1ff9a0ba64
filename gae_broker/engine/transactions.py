"""The seam for transactional adds: tasks that are enqueued when, and only if, a transaction commits.

A storage library's adapter registers a provider; an add asks for the current transaction and enlists its tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gae_broker.domain.task import Copy, LargePayload
from gae_broker.errors import BadTransactionStateError, DatastoreError

MAX_TASKS = 5
"""Tasks in one transaction, over all its adds."""


@dataclass(frozen=True, slots=True)
class Enlisted:
    """A task that goes with a transaction.

    Attributes:
        copy: the task.
        large: what is to be in the ledger before the task is in its queue; ``None``: nothing.
    """

    copy: Copy
    large: LargePayload | None = None


class Transaction(Protocol):
    """A transaction under way that can take tasks along."""

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken so far."""

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:
        """Take tasks of one queue along.

        1. They are enqueued after the commit, in order, and never after a rollback, be it of a savepoint within.
        2. A transaction that can store them within itself does so, and leaves them to a
           `gae_broker.engine.outbox.Relay`: then nothing is lost if this process ends before they are enqueued.
        3. Any other calls ``deliver`` after the commit; it may raise `Error`, and may then be called again.
        4. `enlisted` grows by the number of tasks, and shrinks again where a savepoint is rolled back.

        Raises:
            BadTransactionStateError: it is over, or takes no tasks.
            DatastoreError: the database did not take them.
        """


Provider = Callable[[], Transaction | None]
"""Answers with the calling thread's or task's current transaction, ``None`` outside of one."""

_lock = threading.Lock()
_providers: tuple[Provider, ...] = ()


def register(provider: Provider) -> None:
    """Ask this provider too; registering it again does nothing."""
    global _providers  # noqa: PLW0603  (the one registry of the process)
    with _lock:
        if provider not in _providers:
            _providers = (*_providers, provider)


def unregister(provider: Provider) -> None:
    """Ask this provider no more; nothing happens where it is not registered."""
    global _providers  # noqa: PLW0603
    with _lock:
        _providers = tuple(known for known in _providers if known != provider)


def current() -> Transaction | None:
    """The transaction that the caller is in, of the first provider that knows one."""
    for provider in _providers:
        transaction = provider()
        if transaction is not None:
            return transaction
    return None


def require(count: int) -> Transaction:
    """The current transaction, with room for ``count`` tasks more.

    Raises:
        BadTransactionStateError: the caller is in none.
        DatastoreError: it would exceed `MAX_TASKS`.
    """
    transaction = current()
    if transaction is None:
        raise BadTransactionStateError(
            "a transactional add needs a transaction that is under way; none of the "
            f"{len(_providers)} registered providers knows one here",
        )
    if transaction.enlisted + count > MAX_TASKS:
        raise DatastoreError(
            f"Too many messages, maximum allowed {MAX_TASKS}: the transaction has {transaction.enlisted} tasks, "
            f"{count} more were to be added",
        )
    return transaction
