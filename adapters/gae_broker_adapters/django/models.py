"""The outbox: tasks that a transaction of the project's database has taken along."""

from __future__ import annotations

from django.db import models

_ID = 64


class OutboxTask(models.Model):
    """A task that is to be enqueued. The columns are those of the outbox that SQLAlchemy's adapter makes."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    queue: models.CharField[str, str] = models.CharField(max_length=100)
    kind: models.CharField[str, str] = models.CharField(max_length=8)
    name: models.CharField[str, str] = models.CharField(max_length=500)
    copy_id: models.CharField[str, str] = models.CharField(max_length=_ID)
    due_us: models.BigIntegerField[int, int] = models.BigIntegerField()
    meta: models.BinaryField[bytes, bytes] = models.BinaryField()
    body: models.BinaryField[bytes, bytes] = models.BinaryField()
    large_key: models.CharField[str | None, str | None] = models.CharField(max_length=_ID, null=True)  # noqa: DJ001 - without one there is no large payload
    large_body: models.BinaryField[bytes | None, bytes | None] = models.BinaryField(null=True)
    added_us: models.BigIntegerField[int, int] = models.BigIntegerField()
    unit: models.CharField[str, str] = models.CharField(max_length=_ID, default="")
    claimed_by: models.CharField[str, str] = models.CharField(max_length=_ID, default="")
    claimed_until_us: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)

    class Meta:
        """Where it is kept."""

        db_table = "gae_broker_outbox"
        indexes = (models.Index(fields=("queue", "id"), name="gae_broker_outbox_queue"),)
        verbose_name = "task to be enqueued"
        verbose_name_plural = "tasks to be enqueued"

    def __str__(self) -> str:
        return f"{self.name} for {self.queue}"
