"""A transaction without a database, to test transactional adds with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from gae_broker.engine import transactions
from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import BadTransactionStateError

_current: ContextVar[MemoryTransaction | None] = ContextVar("gae_broker_testing_transaction", default=None)


class MemoryTransaction:
    """Takes tasks along and hands them over at `commit`; an engine ``Transaction``."""

    def __init__(self) -> None:
        self._enlisted = 0
        self._deliveries: list[Callable[[], None]] = []
        self._open = True

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken."""
        return self._enlisted

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:
        """Take tasks along.

        Raises:
            BadTransactionStateError: it was committed or rolled back.
        """
        if not self._open:
            raise BadTransactionStateError("the transaction is over; enqueue tasks inside of it")
        self._enlisted += len(tasks)
        self._deliveries.append(deliver)

    def commit(self) -> None:
        """End it, and enqueue what it took."""
        self._open = False
        for deliver in self._deliveries:
            deliver()
        self._deliveries.clear()

    def rollback(self) -> None:
        """End it, and drop what it took."""
        self._open = False
        self._deliveries.clear()


def _provide() -> MemoryTransaction | None:
    return _current.get()


@contextmanager
def transaction() -> Iterator[MemoryTransaction]:
    """A transaction around a block: committed at its end, rolled back where an exception leaves it.

    Inside, ``taskqueue.add(..., transactional=True)`` finds it, as it would find an ndb or SQL transaction.
    """
    under_way = MemoryTransaction()
    transactions.register(_provide)
    token = _current.set(under_way)
    try:
        yield under_way
    except BaseException:
        under_way.rollback()
        raise
    finally:
        _current.reset(token)
        if _current.get() is None:
            transactions.unregister(_provide)
    under_way.commit()
