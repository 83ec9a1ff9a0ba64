"""Transactional adds within transactions of Google's own datastore library, ``db`` and legacy ``ndb``.

Both run on ``datastore_rpc.TransactionalConnection``, one for each transaction and attempt at it. What is enlisted is
enqueued when that connection's commit was answered with success, in the thread that asked for it; in between, an end
of the process loses it. Google's library is looked at where the program imported it, and never imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import BadTransactionStateError

_DATASTORE = "google.appengine.api.datastore"
_TAKEN = "_gae_broker_transaction"


class DatastoreTransaction:
    """Takes tasks along with one connection's transaction; an engine ``Transaction``.

    Args:
        connection: a ``TransactionalConnection``.
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - Google's, untyped
        self._enlisted = 0
        self._deliveries: list[Callable[[], None]] = []
        self._is_over = False
        self._commit = connection.async_commit
        connection.async_commit = self._async_commit

    @property
    def enlisted(self) -> int:
        """How many tasks it has taken."""
        return self._enlisted

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:
        """Take tasks along.

        Raises:
            BadTransactionStateError: its commit has begun.
        """
        if self._is_over:
            raise BadTransactionStateError("the datastore transaction is over; add tasks before its commit")
        self._enlisted += len(tasks)
        self._deliveries.append(deliver)

    def _async_commit(self, config: object) -> object:
        self._is_over = True
        rpc = self._commit(config)
        if rpc is None:  # nothing was read or written, so there was nothing to ask the datastore
            self._deliver()
            return None
        decide = rpc.get_result

        def get_result() -> object:
            committed = decide()
            if committed:
                self._deliver()
            return committed

        rpc.get_result = get_result
        return rpc

    def _deliver(self) -> None:
        while self._deliveries:
            self._deliveries[0]()
            self._deliveries.pop(0)


def current() -> DatastoreTransaction | None:
    """The transaction that the calling thread or tasklet is in, ``None`` outside of one."""
    datastore = sys.modules.get(_DATASTORE)
    if datastore is None or not datastore.IsInTransaction():
        return None
    connection = datastore._GetConnection()  # noqa: SLF001 - Google's own task queue client asks it too
    found: DatastoreTransaction | None = vars(connection).get(_TAKEN)
    if found is None:
        found = DatastoreTransaction(connection)
        setattr(connection, _TAKEN, found)
    return found
