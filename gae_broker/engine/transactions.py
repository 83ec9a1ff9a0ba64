"""The seam for transactional adds: tasks that are enqueued when, and only if, a transaction commits.

A storage library's adapter registers a provider; an add asks for the current transaction and enlists its tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from gae_broker.domain.task import Copy
from gae_broker.errors import BadTransactionStateError, DatastoreError

MAX_TASKS = 5
"""Tasks in one transaction, over all its adds."""


class Transaction(Protocol):
    """A transaction under way that can take tasks along."""

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken so far."""

    def enlist(self, copies: Sequence[Copy], deliver: Callable[[], None]) -> None:
        """Take tasks along.

        1. ``deliver`` is called once after the commit, never after a rollback; it may raise `TransientError`,
           and may then be called again.
        2. A transaction that can store the copies within itself does so (an outbox), and has them delivered by
           `gae_broker.engine.enqueue.Enqueuer.deliver` should this process end before ``deliver`` returned.
        3. `enlisted` grows by the number of copies.

        Raises:
            BadTransactionStateError: it is over, or takes no tasks.
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
