"""The rows of an outbox, by Django's ORM: written in the project's transactions, claimed in the relay's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Coalesce, Length

from gae_broker.domain import wire
from gae_broker.domain.message import Message
from gae_broker.domain.setting_values import mask
from gae_broker.domain.task import Kind, LargePayload
from gae_broker.engine.transactions import Enlisted
from gae_broker.errors import OutboxUnavailableError
from gae_broker.ports import ClaimedRows, OutboxRow, Place, RowClaim, Waiting

FAILURES = (DatabaseError, InterfaceError)


class DjangoRows:
    """A `gae_broker.ports.Outbox` in one of the project's databases.

    Args:
        alias: the database.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.where = f"the database {alias!r} of the Django settings"

    def insert(self, tasks: Sequence[Enlisted], now_us: int) -> None:
        """Write tasks in the transaction under way, in order; raises what Django raises."""
        for task in tasks:
            message = wire.encode(task.copy)
            self._all().create(
                queue=message.queue,
                kind=message.kind.value,
                name=message.key,
                copy_id=message.copy_id,
                due_us=message.due_us,
                meta=message.meta.encode(errors="surrogatepass"),
                body=message.body,
                large_key=None if task.large is None else task.large.key,
                large_body=None if task.large is None else task.large.body,
                added_us=now_us,
            )

    def queues(self) -> Sequence[str]:
        """See `Outbox`."""
        with self._begun():
            return list(self._all().order_by("queue").values_list("queue", flat=True).distinct())

    def waiting(self) -> Waiting:
        """See `Outbox`."""
        with self._begun():
            found = self._all().aggregate(tasks=Count("id"), since_us=Min("added_us"))
            return Waiting(found["tasks"], found["since_us"])

    def claim(self, queue: str, claim: RowClaim) -> ClaimedRows:
        """See `Outbox`."""
        mine = self._all().filter(queue=queue)
        with self._begun():
            # A look that takes no lock: mostly there is nothing, and SQLite has one lock for all.
            if not mine.exists():
                return ClaimedRows()
        with self._begun():
            features = connections[self.alias].features
            if not features.has_select_for_update:  # SQLite locks no rows; a write takes its one lock
                self._all().filter(id__lt=0).update(claimed_by="")
            locked = mine.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
            size = Length("body") + Coalesce(Length("large_body"), 0)
            first = locked.order_by("id").values_list("id", "claimed_until_us", size)
            found = list(first[: claim.rows])
            head = mine.aggregate(head=Min("id"))["head"]
            # Rows that were skipped are another relay's; whoever took what comes after them would overtake it.
            if not found or found[0][0] != head or any(until_us > claim.now_us for _, until_us, _ in found):
                return ClaimedRows(held=head is not None)
            places = list(_within(claim.size, [(place, length) for place, _, length in found]))
            mine.filter(id__in=places).update(claimed_by=claim.token, claimed_until_us=claim.until_us)
            return ClaimedRows([_row(task) for task in mine.filter(id__in=places).order_by("id")])

    def forget(self, token: str, places: Sequence[Place]) -> None:
        """See `Outbox`."""
        with self._begun():
            self._all().filter(id__in=places, claimed_by=token).delete()

    def release(self, token: str, places: Sequence[Place]) -> None:
        """See `Outbox`."""
        with self._begun():
            self._all().filter(id__in=places, claimed_by=token).update(claimed_by="", claimed_until_us=0)

    def close(self) -> None:
        """Close this thread's connection, unless it is in a transaction."""
        if not connections[self.alias].in_atomic_block:
            connections[self.alias].close()

    def _all(self) -> QuerySet[Any]:
        # By name: models can be imported only where a project is set up.
        found: QuerySet[Any] = apps.get_model("gae_broker", "OutboxTask")._default_manager.using(self.alias)  # noqa: SLF001
        return found

    @contextmanager
    def _begun(self) -> Iterator[None]:
        try:
            connections[self.alias].close_if_unusable_or_obsolete()
            with transaction.atomic(using=self.alias):
                yield
        except FAILURES as exc:
            raise OutboxUnavailableError(f"{self.where} cannot be used: {reason(exc)}") from exc


def reason(exc: Exception) -> str:
    """What the driver says, in its first line: what follows may quote the row, and with it a payload."""
    return mask((str(exc).splitlines() or [type(exc).__name__])[0])


def _within(limit: int, sizes: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The first rows that are within the limit together, one at least."""
    total = 0
    for index, (place, size) in enumerate(sizes):
        total += size
        if index and total > limit:
            return
        yield place


def _row(task: Any) -> OutboxRow:  # noqa: ANN401 - a row of the model
    message = Message(
        copy_id=task.copy_id,
        kind=Kind(task.kind),
        queue=task.queue,
        key=task.name,
        due_us=task.due_us,
        meta=bytes(task.meta).decode(errors="surrogatepass"),
        body=bytes(task.body),
    )
    large = None
    if task.large_key is not None and task.large_body is not None:
        large = LargePayload(task.large_key, bytes(task.large_body))
    return OutboxRow(task.id, message, large)
